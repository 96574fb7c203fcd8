"""The playground, where all goes well."""

import base64
import json
import re
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from client import caller
from playground import Visitor
from playwright.async_api import Locator, WebSocketRoute, expect
from servers_waiting import until

from stack.supervisor import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

Visit = Callable[..., AbstractAsyncContextManager[Visitor]]
RESAMPLED = """async (rate) => {
  const { Resampler, fromBase64, fromPcm, toBase64, toPcm } = await import("/playground/pcm.js");
  const tone = Float32Array.from({ length: rate }, (_, n) => 0.5 * Math.sin((2764 * n) / rate));
  const resampler = new Resampler(rate, 16000);
  const pieces = [];
  for (let start = 0; start < rate; start += 128) {
    pieces.push(...resampler.push(tone.subarray(start, start + 128)));
  }
  const heard = fromPcm(fromBase64(toBase64(new Uint8Array(toPcm(Float32Array.from(pieces))))));
  return [heard.length, Math.max(...heard)];
}"""
MINUTES_LEFT = r"\d:\d\d"


async def test_a_visitor_sees_what_the_token_is_locked_to(visit: Visit) -> None:
    """A token's model, the retired name asked for, modality, lifetime and temperature are shown."""
    async with visit() as visitor:
        await visitor.introduce_oneself()
        await visitor.page.get_by_role("combobox", name="Model").select_option(
            "gemini-2.0-flash-live-001"
        )
        await visitor.answer_in("Audio")
        await visitor.page.get_by_label("Duration").fill("5")
        await visitor.page.get_by_label("Temperature").fill("0.5")
        await visitor.get_token()
        token = visitor.region("Token")
        assert await facts(token) == {
            "Model": "gemini-3.8-live",
            "Asked for": "gemini-2.0-flash-live-001, which was retired on 2025-12-09",
            "Answers in": "audio",
            "Lifetime": "5 minutes",
            "Temperature": "0.5",
            "API version": "v1beta",
        }
        start, end = await token.get_by_role("timer").all()
        await expect(start).to_have_text(re.compile("1:5[0-9]|2:00"))
        await expect(end).to_have_text(re.compile("4:5[0-9]|5:00"))
        assert visitor.complaints.failed_loads == []


async def test_a_visitor_can_find_the_request_again(visit: Visit) -> None:
    """Decision, request and trace are those of the request that was made, and can be copied."""
    async with visit() as visitor:
        await visitor.introduce_oneself()
        body = await visitor.get_token()
        asked = next(request for request in visitor.asked if request.method == "POST")
        answer = await asked.response()
        assert answer
        version, trace, _, flags = (await asked.all_headers())["traceparent"].split("-")
        assert (version, flags) == ("00", "01")
        for what, text in {
            "the token": body["token"],
            "the decision id": body["decisionId"],
            "the request id": await answer.header_value("x-request-id"),
            "the trace id": trace,
        }.items():
            await visitor.button(f"Copy {what}").click()
            await expect(visitor.page.get_by_role("status")).to_have_text(f"Copied {what}.")
            assert await visitor.page.evaluate("navigator.clipboard.readText()") == text


async def test_the_quota_is_shown_as_bars(visit: Visit) -> None:
    """Each limit is a meter that says how much is used, and when the next token is allowed."""
    async with visit() as visitor:
        await visitor.introduce_oneself()
        quota = visitor.region("Quota")
        hour, day, cooldown = await quota.get_by_role("meter").all()
        await expect(hour).to_have_attribute("aria-valuetext", "0 of 10 tokens in 60 minutes")
        await expect(quota).to_contain_text("The next token is allowed now.")
        await visitor.get_token()
        await expect(hour).to_have_attribute("aria-valuetext", "1 of 10 tokens in 60 minutes")
        await expect(day).to_have_attribute("aria-valuetext", "1 of 100 tokens in 24 hours")
        waiting = re.compile(rf"{MINUTES_LEFT} of 5:00 to wait")
        await expect(cooldown).to_have_attribute("aria-valuetext", waiting)
        await expect(quota).to_contain_text(re.compile(rf"in {MINUTES_LEFT}, at \d\d:\d\d"))


async def test_the_form_offers_what_the_gateway_allows(visit: Visit) -> None:
    """Models, aliases and durations are the gateway's; an instruction is off, and it says why."""
    async with visit() as visitor:
        page = visitor.page
        await expect(page.get_by_role("textbox", name="Model")).to_be_visible()
        await visitor.introduce_oneself()
        model = page.get_by_role("combobox", name="Model")
        await expect(model).to_have_value("gemini-3.8-live")
        offered = await model.get_by_role("option").all_inner_texts()
        assert "gemini-3.8-live-extended-thinking" in offered
        assert "gemini-2.0-flash-live-001 → gemini-3.8-live" in offered
        instruction = page.get_by_label("System instruction")
        await expect(instruction).to_be_disabled()
        await expect(instruction).to_have_accessible_description(re.compile("switched off here"))
        await expect(page.get_by_label("Duration")).to_have_accessible_description(
            "Minutes, 1 to 60; 30 if empty."
        )


async def test_one_talks_in_writing(visit: Visit) -> None:
    """A message gets the model's answer, and everything the socket says is shown."""
    async with visit() as visitor:
        await visitor.introduce_oneself()
        await visitor.get_token()
        await visitor.connect()
        await visitor.say("Is it raining?")
        await visitor.say("Still?")
        kinds = await visitor.events.locator(".kind").all_inner_texts()
        assert kinds == [
            "connecting",
            "open",
            "setup",
            "setupComplete",
            "sessionResumptionUpdate",
            *2
            * [
                "realtimeInput.text",
                "serverContent.modelTurn",
                "serverContent.modelTurn",
                "serverContent.generationComplete",
                "serverContent.turnComplete + usageMetadata",
                "sessionResumptionUpdate",
            ],
        ]
        assert visitor.complaints.failed_loads == []


async def test_an_answer_is_heard(visit: Visit) -> None:
    """A spoken answer is played to its end, with its transcript to read."""
    async with visit() as visitor:
        await visitor.introduce_oneself()
        await visitor.answer_in("Audio")
        await visitor.get_token()
        await visitor.connect()
        await visitor.say("hello")
        await expect(visitor.said.last).to_contain_text("0.2 s of sound")

        async def played() -> bool:
            return bool(await visitor.page.evaluate("window.played") == [0.2])

        await until(played, 20, "the answer was played")
        sound = visitor.events.filter(has_text="serverContent.modelTurn")
        await sound.get_by_role("group").click()
        await expect(sound).to_contain_text('"data": "[9,600 bytes]"')


async def test_sound_stops_when_it_shall(visit: Visit) -> None:
    """A long answer is silenced by its button, and by the model when it was interrupted."""
    async with visit() as visitor:
        await visitor.page.route_web_socket(re.compile("/ws/"), RawModel)
        await visitor.introduce_oneself()
        await visitor.get_token()
        await visitor.connect()
        silence = visitor.button("Stop the sound")
        await ask(visitor, "a long answer")
        await silence.click()
        await expect(silence).to_be_hidden()
        await ask(visitor, "a long answer")
        await expect(silence).to_be_visible()
        await ask(visitor, "interrupted")
        await expect(silence).to_be_hidden()
        await expect(visitor.said.filter(has_text="interrupted")).to_have_count(2)
        await ask(visitor, "nonsense")
        await expect(visitor.events.last).to_contain_text("not JSON")
        await ask(visitor, "a thought")
        await expect(visitor.events.last).to_contain_text("a silent thought")
        await expect(visitor.said.filter(has_text="a silent thought")).to_have_count(0)


async def test_one_talks_by_microphone(visit: Visit) -> None:
    """What the microphone hears is sent until it is switched off, and then answered."""
    async with visit() as visitor:
        await visitor.introduce_oneself()
        await visitor.answer_in("Audio")
        await visitor.get_token()
        await visitor.connect()
        await visitor.button("Speak").click()
        await expect(visitor.events.last).to_contain_text(re.compile(r"\d+ messages, [\d,]+ bytes"))
        await visitor.button("Stop speaking").click()
        await expect(visitor.said.last).to_contain_text(re.compile(r"You said: \d\d+ ms of audio"))
        sent = visitor.events.filter(has=visitor.page.get_by_text("sent", exact=True))
        await expect(sent.last).to_contain_text("audioStreamEnd")
        await visitor.button("Speak").click()
        await expect(visitor.said.last).to_contain_text("speaking…")
        await visitor.button("Disconnect").click()
        await expect(visitor.said).to_have_count(2)  # the rest of it was never heard
        await expect(visitor.button("Try this token again")).to_be_visible()


async def test_a_token_is_good_for_one_session_that_can_be_resumed(visit: Visit) -> None:
    """Trying a token again shows the refusal; resuming its session is not refused."""
    async with visit() as visitor:
        await visitor.introduce_oneself()
        await visitor.get_token()
        await visitor.connect()
        talk = visitor.region("Conversation")
        await visitor.button("Disconnect").click()
        await visitor.button("Try this token again").click()
        await expect(talk).to_contain_text("1011")
        await expect(talk).to_contain_text("Token has been used too many times")
        await expect(talk).to_contain_text("Get another token.")
        await expect(visitor.events.last).to_contain_text('"by":"the service"')
        await visitor.button("Resume the session").click()
        await expect(talk.get_by_text("Connected", exact=True)).to_be_visible()
        await expect(talk).not_to_contain_text("1011")
        await visitor.say("back again")


async def test_the_end_of_a_connection_is_announced(visit: Visit, stack: Stack) -> None:
    """A connection that the service is about to end has a countdown, and its end is shown."""
    async with visit() as visitor, caller(stack.layout) as client:
        await visitor.introduce_oneself()
        await visitor.get_token()
        await visitor.connect()
        talk = visitor.region("Conversation")
        await client.emulator("POST", "clock", {"advanceSeconds": 545})
        await expect(talk).to_contain_text(re.compile(r"ends this connection in (1:00|0:5\d)"))
        await client.emulator("POST", "clock", {"advanceSeconds": 60})
        await expect(talk).to_contain_text("1008")
        await expect(talk).not_to_contain_text("ends this connection in")
        await client.emulator("POST", "clock", {"reset": True})


async def test_time_is_the_gateways(visit: Visit) -> None:
    """A visitor whose clock is an hour wrong has as long as everybody else."""
    async with visit() as visitor:
        await visitor.page.clock.install(time=time.time() + 3600)
        await visitor.introduce_oneself()
        await visitor.get_token()
        start, end = await visitor.region("Token").get_by_role("timer").all()
        await expect(start).to_have_text(re.compile("1:5[0-9]|2:0[0-9]"))
        await expect(end).to_have_text(re.compile("29:5[0-9]|30:0[0-9]"))


async def test_sound_of_any_rate_becomes_what_the_service_hears(visit: Visit) -> None:
    """A second of a tone has 16,000 samples in the end, whatever it had, and is as loud."""
    async with visit() as visitor:
        for rate in (16_000, 22_050, 44_100, 48_000, 96_000):
            size, loudest = await visitor.page.evaluate(RESAMPLED, rate)
            assert abs(size - 16_000) <= 1, rate
            assert 0.45 < loudest <= 0.5, rate


async def test_secrets_are_nowhere(visit: Visit) -> None:
    """Neither page, address nor storage has the token; the credential is in its field alone."""
    async with visit() as visitor:
        bearer = visitor.bearer
        await visitor.introduce_oneself(bearer)
        await visitor.get_token()
        await visitor.connect()
        await visitor.say("hello")
        for secret in (visitor.token, bearer):
            assert secret not in await visitor.page.content()
            assert secret not in str(await visitor.visit.stored())
        assert visitor.token not in str(await inputs(visitor))
        await expect(visitor.page.get_by_label("The credential itself")).to_have_value(bearer)


async def test_what_is_forgotten_is_gone(visit: Visit) -> None:
    """Forgetting hangs up and leaves the page as it was found; so does leaving it."""
    async with visit() as visitor:
        page = visitor.page
        before = await page.locator("main").inner_text()
        for leave in (forget, leave_and_return):
            await visitor.introduce_oneself()
            await visitor.get_token()
            await visitor.connect()
            await visitor.say("hello")
            await leave(visitor)
            await expect(page.locator("main")).to_have_text(before, use_inner_text=True)
            assert set(await inputs(visitor)) <= {"", "bearer", "api-key", "TEXT", "AUDIO"}
            visitor.user += "-else"  # who would have to wait


class RawModel:
    """A service that says what it is asked to say, whatever it is."""

    def __init__(self, socket: WebSocketRoute) -> None:
        """Answer on this socket."""
        self._socket = socket
        socket.on_message(self._answer)

    def _answer(self, frame: str | bytes) -> None:
        message = json.loads(frame)
        if "setup" in message:
            self._socket.send(json.dumps({"setupComplete": {}}))
            return
        match message["realtimeInput"]["text"]:
            case "a long answer":
                sound = base64.b64encode(bytes(2 * 24_000 * 30)).decode()
                blob = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": sound}}
                self._content({"modelTurn": {"parts": [blob]}})
            case "interrupted":
                self._content({"interrupted": True})
            case "a thought":
                thought = {"text": "a silent thought", "thought": True}
                self._content({"modelTurn": {"parts": [thought]}})
            case _:
                self._socket.send("{nonsense")

    def _content(self, content: dict[str, Any]) -> None:
        self._socket.send(json.dumps({"serverContent": content}))


async def ask(visitor: Visitor, text: str) -> None:
    """Write something to the model."""
    await visitor.page.get_by_label("Your message").fill(text)
    await visitor.button("Send").click()


async def forget(visitor: Visitor) -> None:
    """Press the button for it."""
    await visitor.button("Forget everything").click()


async def leave_and_return(visitor: Visitor) -> None:
    """Leave the page so that the browser keeps it, as it does for who may come back.

    Playwright's Chromium keeps none, so it is only told what it would be told.
    """
    await visitor.page.evaluate(
        "void dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))"
    )


async def inputs(visitor: Visitor) -> list[str]:
    """Return what is in each field."""
    values: list[str] = await visitor.page.locator("input, textarea, select").evaluate_all(
        "fields => fields.map(field => field.value)"
    )
    return values


async def facts(token: Locator) -> dict[str, Any]:
    """Return what the token is said to be locked to."""
    locked = token.locator(".facts").first
    terms = await locked.get_by_role("term").all_inner_texts()
    return dict(zip(terms, await locked.get_by_role("definition").all_inner_texts(), strict=True))
