"""The main job, step by step, as a vehicle doctor and a specialist do it at their pages."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Error

from teleconsult.domain.people import DEMO_REGION, check_digit
from tests.acceptance.report import RECORD, Failed, Report
from tests.browser.person import DESKTOP, TABLET, Person

REASON = "验收测试：血压持续偏高，请指导用药"
OVER = ("closed", "declined", "withdrawn", "expired")
ADVICE = "验收测试：低盐饮食，两周后复测血压"


@dataclass(frozen=True)
class Login:
    """A name and its password."""

    username: str
    password: str


@dataclass(frozen=True)
class Job:
    """What a run works with. `patient` is what to type into the search; empty registers an invented person."""

    hub: str
    vehicle: str
    doctor: Login
    specialist: Login
    specialty: str
    patient: str = ""


@dataclass
class Begun:
    """What a run has put into the two nodes so far, and who can take it back."""

    doctor: Person | None = None
    specialist: Person | None = None
    encounter: str = ""
    consult: str = ""


def run(job: Job, report: Report, vehicle_browser: Browser, hub_browser: Browser) -> None:
    """Do the job once. Raises Failed at the first step that does not succeed; the report names it. A run that does not
    come to its end takes its request out of the queue and finishes the encounter."""
    begun = Begun()
    try:
        _do(job, report, begun, vehicle_browser, hub_browser)
    except BaseException:
        report.remarks += _take_back(begun)
        raise


def _do(job: Job, report: Report, begun: Begun, vehicle_browser: Browser, hub_browser: Browser) -> None:
    with report.step("The vehicle doctor signs in"):
        doctor = begun.doctor = _sign_in(vehicle_browser, job.vehicle, job.doctor, TABLET)
        report.people.append(doctor)
    with report.step("The specialist signs in and looks at the queue"):
        specialist = begun.specialist = _sign_in(hub_browser, job.hub, job.specialist, DESKTOP)
        report.people.append(specialist)
        specialist.go("/queue")
        specialist.find("#queue").wait_for(state="attached")
    with report.step("The person is found or registered, and the encounter begins"):
        encounter = _begin(job, doctor, begun)
    with report.step("A blood pressure is typed in"):
        _type_pressure(doctor)
    with report.step("The consult is asked for"):
        consult = _ask(job, doctor, begun)
    with report.step("The request reaches the specialist's queue and is accepted"):
        specialist.press(f"#queue a[href*='{consult}']")
        specialist.page.wait_for_url(f"**/consults/{consult}")
        specialist.press("[data-accept-button]")
        specialist.find("[data-call-enter]").wait_for()
    with report.step("Both enter the call and see and hear each other"):
        specialist.press("[data-call-enter]")
        specialist.find("[data-call-mute]").wait_for()
        doctor.press(f"a[href='/consults/{consult}/call']")
        doctor.sees_and_hears("green")
        specialist.sees_and_hears("red")
    with report.step("A reading appears beside the specialist's picture"):
        _measure_in_call(doctor, specialist, encounter)
    with report.step("A line of chat reaches the vehicle"):
        words = f"验收测试 {secrets.token_hex(4)}"
        specialist.press("#tab-tab-chat")
        specialist.page.fill("#tab-chat textarea, #tab-chat input[type=text]", words)
        specialist.page.keyboard.press("Enter")
        doctor.press("[data-drawer=call-drawer], [aria-controls=call-drawer]")
        doctor.page.get_by_text(words).first.wait_for()
    with report.step("The opinion is kept as it is typed, and signed"):
        _write_opinion(specialist)
    with report.step("The vehicle doctor reads and acknowledges it"):
        doctor.go(f"/consults/{consult}")
        doctor.page.get_by_text(ADVICE).first.wait_for()
        doctor.press("form:has(input[value=acknowledge]) button")
        doctor.page.wait_for_selector("#consult[data-state=closed]")
        specialist.page.wait_for_selector("#consult[data-state=closed]")
    with report.step("The record is printed on A4"):
        _print(specialist, consult, report.folder / RECORD)
    with report.step("The encounter is finished"):
        doctor.go(encounter.removeprefix(job.vehicle) + "?step=finish")
        doctor.press("[data-bottom=finish] button")
        doctor.page.wait_for_load_state()
    with report.step("No page reported an error"):
        if errors := doctor.errors + specialist.errors:
            raise Failed("; ".join(errors))


def _sign_in(browser: Browser, base: str, login: Login, window: dict[str, int]) -> Person:
    try:
        return Person(browser, base, login.username, window, login.password)
    except Error as error:
        if "ERR_CERT_" not in error.message:
            raise
        why = error.message.partition("net::")[2].split()[0]
        raise Failed(
            f"The browser does not trust the certificate of {base} ({why}). Give the file of the authority that made "
            "it (tls/authority.crt in that node's data directory) with CA=…; two of them with a space between."
        ) from error


def _take_back(begun: Begun) -> list[str]:
    """Leave nothing that waits for a person. Gives a remark for each thing that was done, or could not be."""
    remarks = []
    doctor, specialist = begun.doctor, begun.specialist
    if doctor and specialist and begun.consult:
        trouble = _attempt(lambda: _close(doctor, specialist, begun.consult))
        where = f"{doctor.base}/consults/{begun.consult}"
        remarks.append(
            f"The consult {where} could not be closed ({trouble}): do so by hand."
            if trouble
            else "The request was taken out of the queue."
        )
    if doctor and begun.encounter:
        finish = begun.encounter.removeprefix(doctor.base) + "/finish"
        trouble = _attempt(lambda: doctor.send(finish, {}))
        remarks.append(
            f"The encounter {begun.encounter} could not be finished ({trouble}): do so by hand."
            if trouble
            else "The encounter was finished."
        )
    return remarks


def _attempt(step: Callable[[], bool]) -> str:
    """What stood in the way; empty where nothing did."""
    try:
        return "" if step() else "the node did not take it"
    except Exception as error:
        return str(error).strip().partition("\n")[0] or type(error).__name__


def _close(doctor: Person, specialist: Person, consult: str) -> bool:
    """Withdraw the consult, or let the specialist sign it off where the hub says that it is too late for that."""

    def step(action: str) -> bool:
        return doctor.send(f"/consults/{consult}/steps", {"action": action})

    def is_over(patience: int) -> bool:
        for _ in range(patience):
            at_hub = _state(specialist, consult)
            if at_hub in OVER or (not at_hub and _state(doctor, consult) in ("", *OVER)):
                return True  # the hub knows nothing of it, or it is nobody's
            doctor.page.wait_for_timeout(1000)
        return False

    if is_over(1) or (step("withdraw") and is_over(10)):
        return True
    if _state(specialist, consult) != "opinion_written":
        specialist.page = specialist.page.context.new_page()
        specialist.go(f"/consults/{consult}")
        _write_opinion(specialist)
    doctor.until(lambda: _state(doctor, consult) == "opinion_written", "the opinion at the vehicle", 30)
    return step("acknowledge") and is_over(10)


def _state(person: Person, consult: str) -> str:
    """Where a consult stands at this person's node; empty if it is not known there, or not theirs to see. Looked at in
    a window of its own: the person's may be on its way somewhere."""
    window = person.page.context.new_page()
    try:
        answer = window.goto(f"{person.base}/consults/{consult}")
        if answer and answer.status in (403, 404):
            return ""
        return window.locator("#consult").get_attribute("data-state", timeout=10_000) or ""
    finally:
        window.close()


def invented_resident_id() -> str:
    """A number of the region for demonstrations, which a county's node refuses unless told to take them."""
    digits = f"{DEMO_REGION}19500101{secrets.randbelow(1000):03d}"
    return digits + check_digit(digits)


def _begin(job: Job, doctor: Person, begun: Begun) -> str:
    if job.patient:
        doctor.go("/patients")
        doctor.page.fill("[name=q]", job.patient)
        doctor.page.press("[name=q]", "Enter")
        doctor.page.wait_for_url("**/patients/**")
        found = doctor.page.locator("#found-people a.list-row")
        if "/search" in doctor.page.url:
            if found.count() != 1:
                raise Failed(f"{found.count()} people fit the patient named; one is needed.")
            found.click()
    else:
        _register(doctor)
    doctor.find(".bottom-bar .button-primary").wait_for()
    doctor.press(".bottom-bar .button-primary")
    doctor.page.wait_for_url("**/encounters/*")
    encounter = begun.encounter = doctor.page.url.partition("?")[0]
    doctor.page.fill("[name=reason]", REASON)
    doctor.press("[data-bottom=reason] button")
    doctor.find("[data-bottom=vitals] a.button-primary").wait_for()
    return encounter


def _register(doctor: Person) -> None:
    doctor.go("/patients/new")
    doctor.page.wait_for_selector("html[data-ready]")
    doctor.page.fill("[name=resident_id]", invented_resident_id())
    doctor.page.fill("[name=name]", f"验收测试{secrets.token_hex(2)}")
    doctor.press("button[form=person]")
    doctor.page.wait_for_load_state()
    if doctor.page.url.endswith("/new"):
        said = " ".join(doctor.page.locator("form#person [role=alert], form#person .field-error").all_inner_texts())
        raise Failed(
            f"The vehicle does not take an invented person ({said.strip()}). "
            "Set ACCEPTANCE_PATIENT to the name or number of a person registered there for tests."
        )


def _type_pressure(doctor: Person) -> None:
    doctor.page.wait_for_selector("html[data-ready]")
    doctor.page.fill("[name='blood_pressure.systolic']", "152")
    doctor.page.fill("[name='blood_pressure.diastolic']", "94")
    doctor.press("#entry button[type=submit]")
    doctor.page.locator("#tiles :text('152')").first.wait_for()


def _ask(job: Job, doctor: Person, begun: Begun) -> str:
    doctor.press("[data-bottom=vitals] a.button-primary")
    doctor.page.wait_for_url("**/consult")
    doctor.page.select_option("[name=specialty]", job.specialty)
    doctor.page.check("[name=urgency][value=urgent]", force=True)
    doctor.page.fill("[name=reason]", REASON)
    doctor.page.check("[name=given_by][value=patient]", force=True)
    begun.consult = doctor.find("[name=id]").input_value()
    doctor.press("#send")
    doctor.page.wait_for_url("**/consults/*")
    return doctor.page.url.rpartition("/")[2]


def _measure_in_call(doctor: Person, specialist: Person, encounter: str) -> None:
    window = doctor.page.context.new_page()
    try:
        window.goto(f"{encounter}?step=vitals")
        window.wait_for_selector("html[data-ready]")
        window.fill("[name='body_temperature.body_temperature']", "36.9")
        window.press("[name='body_temperature.body_temperature']", "Enter")
        specialist.find("[data-call-vitals] :text('36.9')").wait_for()
    finally:
        window.close()


def _write_opinion(specialist: Person) -> None:
    specialist.press("#tab-tab-write")
    specialist.page.fill("[name=impression]", "验收测试：高血压2级")
    specialist.page.fill("[name=advice]", ADVICE)
    specialist.find("#opinion-saved[data-state=saved]").wait_for()
    specialist.press("#sign")
    specialist.page.wait_for_selector("#consult[data-state=opinion_written]")


def _print(specialist: Person, consult: str, pdf: Path) -> None:
    specialist.go(f"/consults/{consult}/record?language=zh")
    specialist.page.get_by_text(ADVICE).first.wait_for()
    specialist.page.pdf(path=pdf, prefer_css_page_size=True)
    if not pdf.read_bytes().startswith(b"%PDF"):
        raise Failed("Printing gave no PDF.")
