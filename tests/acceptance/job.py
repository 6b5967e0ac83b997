"""The main job, step by step, as a vehicle doctor and a specialist do it at their pages."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from teleconsult.domain.people import DEMO_REGION, check_digit
from tests.acceptance.report import Failed, Report
from tests.browser.person import DESKTOP, TABLET, Person

REASON = "验收测试：血压持续偏高，请指导用药"
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


def run(job: Job, report: Report, vehicle_browser: Browser, hub_browser: Browser) -> None:
    """Do the job once. Raises Failed at the first step that does not succeed; the report names it."""
    with report.step("The vehicle doctor signs in"):
        doctor = Person(vehicle_browser, job.vehicle, job.doctor.username, TABLET, job.doctor.password)
        report.people.append(doctor)
    with report.step("The specialist signs in and looks at the queue"):
        specialist = Person(hub_browser, job.hub, job.specialist.username, DESKTOP, job.specialist.password)
        report.people.append(specialist)
        specialist.go("/queue")
        specialist.find("#queue").wait_for(state="attached")
    with report.step("The person is found or registered, and the encounter begins"):
        encounter = _begin(job, doctor)
    with report.step("A blood pressure is typed in"):
        _type_pressure(doctor)
    with report.step("The consult is asked for"):
        consult = _ask(job, doctor)
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
        _print(specialist, consult, report.folder / "record.pdf")
    with report.step("The encounter is finished"):
        doctor.go(encounter.removeprefix(job.vehicle) + "?step=finish")
        doctor.press("[data-bottom=finish] button")
        doctor.page.wait_for_load_state()
    with report.step("No page reported an error"):
        if errors := doctor.errors + specialist.errors:
            raise Failed("; ".join(errors))


def invented_resident_id() -> str:
    """A number of the region for demonstrations, which a county's node refuses unless told to take them."""
    digits = f"{DEMO_REGION}19500101{secrets.randbelow(1000):03d}"
    return digits + check_digit(digits)


def _begin(job: Job, doctor: Person) -> str:
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
    encounter = doctor.page.url.partition("?")[0]
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


def _ask(job: Job, doctor: Person) -> str:
    doctor.press("[data-bottom=vitals] a.button-primary")
    doctor.page.wait_for_url("**/consult")
    doctor.page.select_option("[name=specialty]", job.specialty)
    doctor.page.check("[name=urgency][value=urgent]", force=True)
    doctor.page.fill("[name=reason]", REASON)
    doctor.page.check("[name=given_by][value=patient]", force=True)
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
    specialist.until(lambda: "已保存" in specialist.find("#opinion-saved").inner_text(), "the draft is saved")
    specialist.press("#sign")
    specialist.page.wait_for_selector("#consult[data-state=opinion_written]")


def _print(specialist: Person, consult: str, pdf: Path) -> None:
    specialist.go(f"/consults/{consult}/record?language=zh")
    specialist.page.get_by_text(ADVICE).first.wait_for()
    specialist.page.pdf(path=pdf, prefer_css_page_size=True)
    if not pdf.read_bytes().startswith(b"%PDF"):
        raise Failed("Printing gave no PDF.")
