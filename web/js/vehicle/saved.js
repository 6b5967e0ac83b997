/** The person's page: what the register form kept on this machine is on the node now. */

/** Names the draft whose form was sent last. */
export const SENT = "person.sent";

if (!document.getElementById("person")) {
  const sent = sessionStorage.getItem(SENT);
  if (sent) localStorage.removeItem(sent);
  sessionStorage.removeItem(SENT);
}
