/**
 * One browser's connection to the media worker: WebRTC without a page.
 *
 * `MediaPeer` negotiates (as the polite side), publishes one voice and one picture, hands out the streams of the
 * other participants, and measures. It knows no DOM, no Socket.IO and no words for people: it is given a `send`
 * function for its messages and is fed the worker's through `receive`. A connection that is lost is not mended but
 * replaced: on "lost" the owner asks the hub to join again and makes a new `MediaPeer` with the same stream.
 *
 * docs/media.md tells the messages.
 */

/** @typedef {"good" | "fair" | "poor" | "voice-only"} QualityWord */

/**
 * How the call did in the last two seconds, as this browser saw it.
 *
 * @typedef {object} Quality
 * @property {number} upKbps      what we sent, kbit/s
 * @property {number} downKbps    what we got, kbit/s
 * @property {number} loss        the worse direction's loss, 0 to 1
 * @property {number | null} rtt  seconds to the hub and back, null until known
 * @property {number} framesDecoded  pictures decoded in these two seconds, all participants
 * @property {number} frozenFor   seconds of these two during which a picture stood still
 * @property {number} sentWidth   width of the picture we send, 0 while there is none
 * @property {number} sentHeight
 * @property {string} limitedBy   why our picture is smaller than it could be: "none", "cpu", "bandwidth", "other"
 * @property {QualityWord} word   all of it in one word
 */

/**
 * @typedef {object} Notice
 * @property {string} code         stable, for programs: "unplayable"
 * @property {string} sentence     English, for translation
 * @property {string} [participant]
 * @property {string} [kind]
 */

/**
 * What `MediaPeer` tells, by name of the event; the value is the event's `detail`.
 *
 * @typedef {object} MediaPeerEvents
 * @property {{participant: string, stream: MediaStream}} stream   a participant is heard or seen from now on
 * @property {{participant: string}} gone                          a participant is no longer heard or seen
 * @property {{participant: string, track: MediaStreamTrack, stream: MediaStream}} track
 * @property {{state: RTCPeerConnectionState}} state
 * @property {Quality} quality
 * @property {{reason: string, rejoin: boolean}} lost               told once; join again if `rejoin`
 * @property {Notice} notice
 */

/** An answer bears the number of the offer it answers. @typedef {RTCSessionDescriptionInit & {number?: number}} Description */
/** @typedef {{description: Description} | {candidate: RTCIceCandidateInit}} OutMessage */
/** @typedef {{description?: Description, notice?: Notice}} InMessage */

/**
 * @typedef {object} MediaPeerOptions
 * @property {(message: OutMessage) => void} send       carries a message to the worker, in order
 * @property {MediaStream | null} stream                what we publish; null to watch and listen only
 * @property {RTCIceServer[]} [iceServers]              relays for networks that let nothing else through
 * @property {number} [videoBitrate]                    most bits per second for our picture
 */

/** Seconds a connection may be disturbed before it is given up; the browser often mends it before. */
const PATIENCE = 5;

/** Seconds to be connected after the first message. */
const CONNECT_TIMEOUT = 15;

/** Seconds after which an offer that is not answered is sent again. */
const REMIND_AFTER = 4;

const QUALITY_INTERVAL = 2;

const VIDEO_BITRATE = 1_800_000;

const AUDIO_BITRATE = 40_000;

/** Bits per second that are enough for a picture worth looking for more. */
const LEAST_PROBE = 300_000;

/** Bits per second for the smallest picture on a link that loses even that. */
const LEAST_PICTURE = 30_000;

/** Least and most seconds between two attempts to find out whether the link carries more than the browser believes. */
const PROBE_INTERVALS = Object.freeze([4, 8]);

/** Growth between two measurements with which a browser finds more by itself: an attempt would only disturb it. */
const GROWING = 1.3;

/** Share of what the browser believes the link carries below which it has so little to send that no breath is needed. */
const IDLE = 0.7;

/**
 * Share of what the browser believes the link carries that is sent before such an attempt, voice included, and for how
 * many seconds; bits per second that are left to the picture at least.
 */
const BREATH = Object.freeze({ share: 0.3, seconds: 1.2, least: 12_000 });

/** Sizes sent: divisors of the camera's 1280x720. */
const SCALES = Object.freeze([1, 4 / 3, 2, 8 / 3, 4]);

/** Bits per second that a size asks for, by divisor: with half of them quality decides, with less it is left. */
const LEAST_BITRATE = new Map([[1, 500_000], [4 / 3, 250_000], [2, 120_000], [8 / 3, 80_000]]);

/**
 * The same for a browser that does not tell what it believes the link carries, as Firefox. It may also refuse to send less
 * than this at a size, however little gets through: so a size is taken only when there is as much, and left when too much
 * is lost.
 */
const FLOORS = new Map([[1, 1_200_000], [4 / 3, 600_000], [2, 150_000], [8 / 3, 100_000]]);

/** Share of the packets. */
const TOO_MUCH_LOST = 0.1;

/** Share of its time that an encoder may work; one that is busier is too slow for the picture. */
const BUSY = 0.7;

/** Quantizers between which a picture is neither coarse nor wasteful, by codec (libvpx 0 to 127, H.264 0 to 51). */
const QUANTIZERS = new Map([["video/VP8", [45, 90]], ["video/H264", [27, 37]]]);

/**
 * Share of the finer quantizer below which a picture is so plain that its size is no matter: a larger one needs little
 * more, and a browser that is left with too little to send would never find out that it may send more.
 */
const PLAIN = 0.5;

/** Seconds after which a machine that was too slow for a larger picture tries again. */
const REST = 60;

/** What cameras are asked for; what is sent is never larger. */
export const VIDEO_CONSTRAINTS = Object.freeze({
  width: { ideal: 1280, max: 1280 },
  height: { ideal: 720, max: 720 },
  frameRate: { ideal: 30, max: 30 },
});

export const AUDIO_CONSTRAINTS = Object.freeze({
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
  channelCount: 1,
});

/** One connection to the media worker. It is used once: after `close()` or "lost" make another. */
export class MediaPeer extends EventTarget {
  /** @type {RTCPeerConnection} */ #pc;
  /** @type {(message: OutMessage) => void} */ #send;
  /** @type {MediaStream} */ #local;
  /** @type {number} */ #videoBitrate;
  /** Where we publish: the first section of each kind that the worker offers. @type {Map<string, RTCRtpTransceiver>} */
  #uplinks = new Map();
  #over = false;
  #wanted = { audio: true, video: true };
  /** @type {Promise<void>} */ #work = Promise.resolve();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #deadline;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #reminder;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #measuring;
  /** @type {number | undefined} */ #number;
  /** @type {Map<string, MediaStream>} */ #streams = new Map();
  /** @type {Totals | null} */ #totals = null;
  #scale = 1;
  /** A machine that cannot encode fifteen large pictures a second sends smaller ones for a while. */
  #tired = { scale: 1, until: 0 };
  #bitrate = VIDEO_BITRATE;
  /** The last attempt to find more: when, from how much, and how long to wait for the next. */
  #probe = { at: 0, from: 0, wait: PROBE_INTERVALS[0] };
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #breath;

  /** @param {MediaPeerOptions} options */
  constructor({ send, stream, iceServers = [], videoBitrate = VIDEO_BITRATE }) {
    super();
    this.#send = send;
    this.#videoBitrate = this.#bitrate = videoBitrate;
    this.#local = new MediaStream(stream ? stream.getTracks() : []);
    this.#pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.#pc.addEventListener("negotiationneeded", () => this.#enqueue(() => this.#offer()));
    this.#pc.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate) this.#send({ candidate: candidate.toJSON() });
    });
    this.#pc.addEventListener("track", (event) => this.#onTrack(event));
    this.#pc.addEventListener("connectionstatechange", () => this.#onState());
    this.#deadline = setTimeout(() => this.#lose("timeout"), CONNECT_TIMEOUT * 1000);
    this.#measuring = setInterval(() => void this.#measure(), QUALITY_INTERVAL * 1000);
  }

  /**
   * `addEventListener` with the event's detail typed.
   *
   * @template {keyof MediaPeerEvents} K
   * @param {K} name
   * @param {(detail: MediaPeerEvents[K]) => void} listener
   */
  on(name, listener) {
    this.addEventListener(name, (event) => listener(/** @type {CustomEvent} */ (event).detail));
    return this;
  }

  /** @returns {RTCPeerConnectionState} */
  get state() {
    return this.#pc.connectionState;
  }

  /** Everybody else's streams by participant. @returns {ReadonlyMap<string, MediaStream>} */
  get streams() {
    return this.#streams;
  }

  /**
   * Take a message of the worker. Messages are worked on one after the other.
   *
   * @param {InMessage} message
   */
  receive(message) {
    if (message.notice) {
      this.#tell("notice", message.notice);
      if (message.notice.code === "replaced") this.#lose("replaced");
    }
    const description = message.description;
    if (description) this.#enqueue(() => this.#onDescription(description));
  }

  /**
   * Send another camera's or microphone's track instead of the current one of its kind, or null to send none.
   *
   * @param {"audio" | "video"} kind
   * @param {MediaStreamTrack | null} track
   */
  async replaceTrack(kind, track) {
    for (const old of this.#local.getTracks()) if (old.kind === kind) this.#local.removeTrack(old);
    if (track) {
      this.#local.addTrack(track);
      track.enabled = this.#wanted[kind];
    }
    const uplink = this.#uplinks.get(kind);
    if (!uplink) return; // published with the first answer
    await uplink.sender.replaceTrack(track);
    if (track) uplink.direction = "sendonly"; // offered by "negotiationneeded" if that is new
    await this.#limit();
  }

  /**
   * Mute or unmute the microphone, turn the camera's picture off or on, without giving the device back.
   *
   * @param {"audio" | "video"} kind
   * @param {boolean} enabled
   */
  setEnabled(kind, enabled) {
    this.#wanted[kind] = enabled;
    for (const track of this.#local.getTracks()) if (track.kind === kind) track.enabled = enabled;
  }

  /** Offer again, as after a change of network; the worker answers or has a better offer. */
  renegotiate() {
    this.#enqueue(() => this.#offer());
  }

  /** End the connection. The local tracks stay with whoever gave them. */
  close() {
    this.#over = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#reminder);
    clearTimeout(this.#breath);
    clearInterval(this.#measuring);
    this.#pc.close();
  }

  // -- negotiation ---------------------------------------------------------------------------------------

  /** @param {() => Promise<void>} step */
  #enqueue(step) {
    this.#work = this.#work.then(async () => {
      if (this.#over) return;
      try {
        await step();
      } catch (error) {
        this.#lose(`negotiation: ${error}`);
      }
    });
  }

  async #offer() {
    // The worker offers first: until then there is nothing to change. Later the browser tells again when stable.
    if (!this.#uplinks.size || this.#pc.signalingState !== "stable") return;
    await this.#pc.setLocalDescription();
    this.#sendDescription();
    clearTimeout(this.#reminder);
    this.#reminder = setTimeout(() => this.#remind(), REMIND_AFTER * 1000);
  }

  /** An offer that is not answered may have been lost on its way. */
  #remind() {
    if (this.#over || this.#pc.signalingState !== "have-local-offer") return;
    this.#sendDescription();
    this.#reminder = setTimeout(() => this.#remind(), REMIND_AFTER * 1000);
  }

  /** @param {Description} description */
  async #onDescription(description) {
    if (description.type === "answer" && this.#pc.signalingState !== "have-local-offer") return;
    await this.#pc.setRemoteDescription(description); // withdraws our own offer if they crossed: we are polite
    if (description.type !== "offer") return;
    this.#number = description.number;
    if (!this.#uplinks.size) await this.#publish(description.sdp ?? "");
    await this.#pc.setLocalDescription();
    this.#sendDescription();
    this.#forgetGone();
    await this.#limit();
  }

  #sendDescription() {
    const description = this.#pc.localDescription;
    if (!description) return;
    const { type, sdp } = description;
    this.#send({ description: type === "answer" ? { type, sdp, number: this.#number } : { type, sdp } });
  }

  /**
   * Publish our tracks on the first section of each kind.
   *
   * @param {string} sdp
   */
  async #publish(sdp) {
    const mids = [...sdp.matchAll(/^a=mid:(\S+)/gm)].map(([, mid]) => mid);
    const byMid = new Map(this.#pc.getTransceivers().map((one) => [one.mid, one]));
    for (const transceiver of mids.map((mid) => byMid.get(mid))) {
      if (!transceiver || this.#uplinks.has(kindOf(transceiver))) continue;
      const kind = kindOf(transceiver);
      this.#uplinks.set(kind, transceiver);
      const track = this.#local.getTracks().find((one) => one.kind === kind);
      if (!track) continue;
      transceiver.direction = "sendonly";
      await transceiver.sender.replaceTrack(track);
    }
  }

  /** Most bits per second and order of importance: voice before picture. */
  async #limit() {
    for (const sender of this.#pc.getSenders()) {
      const kind = sender.track?.kind;
      if (!kind) continue;
      const parameters = sender.getParameters();
      if (!parameters.encodings?.length) continue;
      if (kind === "video") parameters.degradationPreference = "maintain-resolution";
      const [encoding] = parameters.encodings;
      encoding.maxBitrate = kind === "video" ? this.#bitrate : AUDIO_BITRATE;
      encoding.priority = kind === "video" ? "low" : "high";
      encoding.networkPriority = kind === "video" ? "low" : "high";
      if (kind === "video") {
        encoding.maxFramerate = 30;
        const height = sender.track?.getSettings().height ?? 0;
        encoding.scaleResolutionDownBy = Math.max(1, height / 720) * this.#scale;
      }
      await sender.setParameters(parameters).catch(() => undefined); // a renegotiation came between: done after it
    }
  }

  // -- what the others send --------------------------------------------------------------------------------

  /** @param {RTCTrackEvent} event */
  #onTrack({ track, streams }) {
    const [stream] = streams;
    if (!stream) return;
    const participant = stream.id;
    if (this.#streams.get(participant) !== stream) {
      this.#streams.set(participant, stream);
      this.#tell("stream", { participant, stream });
    }
    this.#tell("track", { participant, track, stream });
  }

  #forgetGone() {
    const present = new Set();
    for (const transceiver of this.#pc.getTransceivers()) {
      const direction = transceiver.currentDirection;
      if (direction === "recvonly" || direction === "sendrecv") present.add(transceiver.receiver.track.id);
    }
    for (const [participant, stream] of this.#streams) {
      if (stream.getTracks().some((track) => present.has(track.id))) continue;
      this.#streams.delete(participant);
      this.#tell("gone", { participant });
    }
  }

  // -- state ---------------------------------------------------------------------------------------------

  #onState() {
    if (this.#over) return;
    const state = this.#pc.connectionState;
    this.#tell("state", { state });
    clearTimeout(this.#deadline);
    if (state === "failed" || state === "closed") this.#lose(state);
    else if (state === "disconnected") this.#deadline = setTimeout(() => this.#lose(state), PATIENCE * 1000);
    else if (state !== "connected") this.#deadline = setTimeout(() => this.#lose("timeout"), CONNECT_TIMEOUT * 1000);
  }

  /** @param {string} reason */
  #lose(reason) {
    if (this.#over) return;
    this.close();
    this.#tell("lost", { reason, rejoin: reason !== "replaced" });
  }

  /**
   * @template {keyof MediaPeerEvents} K
   * @param {K} name
   * @param {MediaPeerEvents[K]} detail
   */
  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  // -- measurement ---------------------------------------------------------------------------------------

  async #measure() {
    if (this.#pc.connectionState !== "connected") return;
    const now = totals(await this.#pc.getStats());
    const before = this.#totals;
    this.#totals = now;
    if (!before || this.#over) return;
    now.limitedBy ||= limitation(before, now, this.#scale);
    this.#tell("quality", difference(before, now));
    await this.#adapt(before, now);
  }

  /**
   * Fit the picture's size to the link and the machine, and look for more where the browser has settled for less.
   *
   * @param {Totals} before
   * @param {Totals} now
   */
  async #adapt(before, now) {
    if (now.limitedBy === "cpu" && now.framesPerSecond < 15) this.#tired = { scale: this.#scale * 2, until: now.at + REST };
    else if (now.at > this.#tired.until) this.#tired = { scale: 1, until: 0 };
    const breathed = this.#probe.at >= before.at; // pictures were coarse on purpose: they say nothing of their size
    const frames = now.encoded - before.encoded;
    const quantizer = this.#wanted.video && frames > 0 && !breathed ? (now.quantizers - before.quantizers) / frames : null;
    const blind = !now.available && now.budget > 0;
    if (blind) this.#guess(before, now);
    const wanted = scaleAfter(this.#scale, { ...now, quantizer, blind });
    const scale = Math.min(4, Math.max(wanted, this.#tired.scale));
    let bitrate = now.available >= this.#videoBitrate ? this.#videoBitrate : this.#bitrate;
    if (blind && this.#scale === 4 && now.lossUp > TOO_MUCH_LOST) bitrate = LEAST_PICTURE;
    if (scale !== this.#scale || bitrate !== this.#bitrate) {
      this.#scale = scale;
      this.#bitrate = bitrate;
      await this.#limit();
    }
    if (!now.available || now.available >= this.#videoBitrate || now.lossUp >= 0.02) return;
    if (now.available > GROWING * before.available) return;
    const idle = !blind && !breathed && 8 * (now.carried - before.carried) < IDLE * now.available * (now.at - before.at);
    if (idle || now.at - this.#probe.at >= this.#probe.wait) await this.#look(now, { blind, idle });
  }

  /**
   * What a browser that says nothing of the link believes that it carries: what it lets its encoder have.
   *
   * @param {Totals} before
   * @param {Totals} now
   */
  #guess(before, now) {
    const given = (8 * (now.budget - before.budget)) / Math.max(0.001, now.at - before.at);
    if (given <= 0) return;
    now.target = given;
    now.available = given < 0.9 * this.#videoBitrate ? given : this.#videoBitrate;
  }

  /**
   * Find out whether the link carries more. A browser tries that where it has had less to send than it believes it
   * may, and is then allowed more: so the picture takes a breath first, unless it is so plain that there is no need.
   * Fewer attempts where the last found nothing.
   *
   * @param {Totals} now
   * @param {{blind: boolean, idle: boolean}} how  whether `available` is what its encoder is let have, without the voice;
   *   whether there is little to send anyhow
   */
  async #look({ at, available }, { blind, idle }) {
    const found = available > 1.3 * this.#probe.from;
    const wait = found ? PROBE_INTERVALS[0] : Math.min(2 * this.#probe.wait, PROBE_INTERVALS[1]);
    this.#probe = { at, from: available, wait };
    clearTimeout(this.#breath);
    const more = Math.min(this.#videoBitrate, Math.max(blind ? 0 : LEAST_PROBE, 2 * available));
    if (idle) return this.#allow(more === this.#bitrate ? more - 1000 : more); // only a change is looked into
    this.#breath = setTimeout(() => void this.#allow(more), BREATH.seconds * 1000);
    await this.#allow(Math.max(BREATH.least, BREATH.share * available - (blind ? 0 : AUDIO_BITRATE)));
  }

  /** @param {number} bitrate  most bits per second for our picture from now on */
  async #allow(bitrate) {
    this.#bitrate = Math.round(bitrate);
    await this.#limit();
  }
}

/** @param {RTCRtpTransceiver} transceiver */
function kindOf(transceiver) {
  return transceiver.receiver.track.kind;
}

/**
 * By how much to divide the camera's picture, given how the last one fared. Size follows the link within seconds;
 * the browser's own way takes half a minute to come back. Frames are dropped only where that is not enough.
 *
 * @param {number} current   one of `SCALES`
 * @param {{quantizer: number | null, codec: string, framesPerSecond: number, target: number, lossUp: number, blind: boolean}} picture
 *   mean quantizer (null: nothing encoded), codec, pictures encoded a second, bits per second there are, share of them
 *   that is lost, whether the browser says nothing of the link
 */
export function scaleAfter(current, { quantizer, codec, framesPerSecond, target, lossUp, blind }) {
  const at = Math.max(0, SCALES.indexOf(current));
  const [fine, coarse] = QUANTIZERS.get(codec) ?? [45, 90];
  const asked = (/** @type {number} */ index) => (blind ? FLOORS : LEAST_BITRATE).get(SCALES[index]) ?? 0;
  const strained = quantizer !== null && (quantizer > coarse || framesPerSecond < 10 || (blind && lossUp > TOO_MUCH_LOST));
  const fluent = quantizer !== null && framesPerSecond >= 20;
  const plain = fluent && quantizer < PLAIN * fine && !blind;
  if (strained || (target < 0.4 * asked(at) && !plain)) {
    const fitting = SCALES.findIndex((_, index) => target >= asked(index));
    return SCALES[Math.min(SCALES.length - 1, Math.max(at + 1, fitting))];
  }
  const enough = target >= (blind ? 1 : 0.5) * asked(at - 1) || plain;
  if (fluent && quantizer < fine && at > 0 && enough) return SCALES[at - 1];
  return current;
}

/**
 * Why our picture is smaller or slower than it could be, where the browser does not say.
 *
 * @param {Totals} before
 * @param {Totals} now
 * @param {number} scale
 */
function limitation(before, now, scale) {
  if (now.encoding - before.encoding > BUSY * (now.at - before.at)) return "cpu";
  return scale > 1 ? "bandwidth" : "none";
}

/**
 * Running totals of one moment, over all streams.
 *
 * @typedef {object} Totals
 * @property {number} at           seconds
 * @property {number} sent         octets
 * @property {number} carried      octets on the wire, repetitions and probes included
 * @property {number} got          octets
 * @property {number} packetsGot
 * @property {number} packetsLost
 * @property {number} lossUp       0 to 1, as the worker last reported
 * @property {number | null} rtt
 * @property {number} frames
 * @property {number} frozen       seconds
 * @property {number} width
 * @property {number} height
 * @property {string} limitedBy    "" where the browser does not say
 * @property {number} target       bits per second there are for our picture
 * @property {number} budget       octets that the encoder was given for our pictures
 * @property {number} encoding     seconds that the encoder worked
 * @property {number} framesPerSecond  of our picture
 * @property {number} encoded      our pictures
 * @property {number} quantizers   sum of their quantizers
 * @property {string} codec        of our picture
 * @property {number} available    bits per second the browser believes the link carries, 0 where it does not say
 * @property {boolean} seesPicture whether any picture is to be received
 */

/**
 * @param {RTCStatsReport} report
 * @returns {Totals}
 */
function totals(report) {
  const sum = {
    at: performance.now() / 1000,
    sent: 0,
    carried: 0,
    got: 0,
    packetsGot: 0,
    packetsLost: 0,
    lossUp: 0,
    rtt: /** @type {number | null} */ (null),
    frames: 0,
    frozen: 0,
    width: 0,
    height: 0,
    limitedBy: "none",
    target: Infinity,
    budget: 0,
    encoding: 0,
    framesPerSecond: 30,
    encoded: 0,
    quantizers: 0,
    codec: "video/VP8",
    available: 0,
    seesPicture: false,
  };
  report.forEach((entry) => {
    if (entry.type === "outbound-rtp") {
      sum.sent += entry.bytesSent ?? 0;
      if (entry.kind === "video") {
        sum.width = entry.frameWidth ?? 0;
        sum.height = entry.frameHeight ?? 0;
        sum.limitedBy = entry.qualityLimitationReason ?? "";
        sum.target = entry.targetBitrate || Infinity;
        sum.budget = entry.totalEncodedBytesTarget ?? 0;
        sum.encoding = entry.totalEncodeTime ?? 0;
        sum.framesPerSecond = entry.framesPerSecond ?? 30;
        sum.encoded = entry.framesEncoded ?? 0;
        sum.quantizers = entry.qpSum ?? 0;
        sum.codec = report.get(entry.codecId)?.mimeType ?? sum.codec;
      }
    } else if (entry.type === "inbound-rtp") {
      sum.got += entry.bytesReceived ?? 0;
      sum.packetsGot += entry.packetsReceived ?? 0;
      sum.packetsLost += entry.packetsLost ?? 0;
      if (entry.kind === "video") {
        sum.frames += entry.framesDecoded ?? 0;
        sum.frozen += entry.totalFreezesDuration ?? 0;
        sum.seesPicture = true;
      }
    } else if (entry.type === "remote-inbound-rtp") {
      sum.lossUp = Math.max(sum.lossUp, entry.fractionLost ?? 0);
    } else if (entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded") {
      sum.rtt = entry.currentRoundTripTime ?? sum.rtt;
      sum.carried += entry.bytesSent ?? 0;
      sum.available = Math.max(sum.available, entry.availableOutgoingBitrate ?? 0);
    }
  });
  return sum;
}

/**
 * @param {Totals} before
 * @param {Totals} now
 * @returns {Quality}
 */
function difference(before, now) {
  const seconds = Math.max(0.001, now.at - before.at);
  const got = Math.max(0, now.packetsGot - before.packetsGot);
  const lost = Math.max(0, now.packetsLost - before.packetsLost);
  const quality = {
    upKbps: (8 * Math.max(0, now.sent - before.sent)) / seconds / 1000,
    downKbps: (8 * Math.max(0, now.got - before.got)) / seconds / 1000,
    loss: Math.max(now.lossUp, got + lost ? lost / (got + lost) : 0),
    rtt: now.rtt,
    framesDecoded: Math.max(0, now.frames - before.frames),
    frozenFor: Math.min(seconds, Math.max(0, now.frozen - before.frozen)),
    sentWidth: now.width,
    sentHeight: now.height,
    limitedBy: now.limitedBy,
  };
  return { ...quality, word: word(quality, now.seesPicture) };
}

/**
 * One word for a doctor. Voice suffers from 5 % loss or 0.4 s to the hub and back (ITU-T G.114 asks for less than
 * 0.4 s one way, mouth to ear); a picture below ten frames a second no longer shows movement.
 *
 * @param {Omit<Quality, "word">} quality
 * @param {boolean} seesPicture
 * @returns {QualityWord}
 */
export function word({ loss, rtt, framesDecoded, frozenFor, sentHeight }, seesPicture) {
  if (seesPicture && framesDecoded === 0) return "voice-only";
  const rate = framesDecoded / QUALITY_INTERVAL;
  if (loss > 0.1 || (rtt ?? 0) > 0.8 || frozenFor > 1 || (seesPicture && rate < 5)) return "poor";
  const small = sentHeight > 0 && sentHeight < 360;
  if (loss > 0.03 || (rtt ?? 0) > 0.3 || frozenFor > 0 || (seesPicture && rate < 12) || small) return "fair";
  return "good";
}
