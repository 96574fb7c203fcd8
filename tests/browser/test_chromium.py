"""The browser of the tests: it runs pages, and what they complain of is heard."""

from chromium import Complaints, chromium

_PAGE = """
<meta http-equiv="Content-Security-Policy" content="img-src 'none'">
<script>
  console.warn("careful");
  console.error("no good");
  setTimeout(() => { throw new Error("nobody catches this"); });
</script>
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
<p>shown</p>
"""


async def test_what_a_page_complains_of_is_heard() -> None:
    """Warnings, errors, uncaught exceptions and CSP violations of a page are seen by its test."""
    async with chromium() as browser:
        page = await browser.new_page()
        complaints = await Complaints.of(page)
        await page.route("**/*", lambda route: route.fulfill(content_type="text/html", body=_PAGE))
        await page.goto("http://page.test/")
        await page.evaluate("new Promise(resolve => setTimeout(resolve))")
        assert await page.text_content("p") == "shown"
    assert complaints.warnings == ["careful"]
    heard = "\n".join(complaints.errors)
    for complaint in ("no good", "nobody catches this", "CSP violation: img-src of data"):
        assert complaint in heard
