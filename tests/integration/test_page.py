"""`records --format html` in a browser: what is shown, found and copied, by mouse, by keyboard, with
a screen reader, without JavaScript, from a disk and from a server.
"""

import contextlib
import json
import re
import signal

import html5lib
import pytest
from harness import process
from harness.browser import Browser, folder_served
from harness.reload import FAST
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.once

HOST = "records.example"  # over http: it is no secure origin, so there is no navigator.clipboard
LONG = ".".join(["a" * 63, "b" * 63, "c" * 50, "example.com"])
POLICY = {"mode": "enforce", "mx": ["mx.example.org"], "max_age": "4w"}
TENANTS = {
    "example.org": POLICY,
    "example.net": {**POLICY, "tls_reports": ["https://example.net/a&ltb'c%2Cd"]},
    "served.example": {**POLICY, "mode": "testing", "max_age": "1d"},
    "old.example": {**POLICY, "retire": True},
    "bücher.example": POLICY,
    LONG: POLICY,
}
RECORDS = {
    "addresses": ["192.0.2.1", "192.0.2.2", "2001:db8::1"],
    "caa": [{"issuer": "ca.example", "account_uri": "https://ca.example/acct/1?a=b&c='d'"}],
}
FIELDS = ["host", "full name", "type", "TTL", "value"]
REPORTS = ["mailto:tls@example.org", f"https://example.org/{'long/' * 60}"]


def write_page(folder, tenants, **settings):
    """records.html and what `records --format json` says of the same configuration."""
    config = {"listen": [{"address": "127.0.0.1:0", "tls": False}],
              "ledger": str(folder / "ledger.db"), "tenants": tenants, **settings}  # fmt: skip
    path = folder / "mta-stsd.yaml"
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")
    outputs = {}
    for name in ("html", "json"):
        done = process.run("records", "--format", name, "-c", path)
        assert done.returncode == 0, done.stderr
        outputs[name] = done.stdout
    (folder / "records.html").write_text(outputs["html"], encoding="ascii")
    return json.loads(outputs["json"])


@pytest.fixture(scope="module", name="folder")
def make_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module", name="sets")
def make_page(folder):
    return write_page(folder, TENANTS, records=RECORDS, contact={"tls_reports": REPORTS})


@pytest.fixture(scope="module", name="web")
def serve_page(folder, sets):
    """(port, paths asked for)"""
    assert len(sets) == len(TENANTS)
    with folder_served(folder) as web:
        yield web


# Feedback stays until the test ends it, however slow the machine is.
NO_TIMERS = """
window.later = [];
const real = window.setTimeout;
window.setTimeout = (f, ms, ...more) => ms > 1000 ? -later.push(f) : real(f, ms, ...more);
"""


@pytest.fixture(scope="module", name="browser")
def start_browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"), hosts=[HOST])
    browser.devtools("Browser.grantPermissions",
                     permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", source=NO_TIMERS)
    yield browser
    browser.close()


@pytest.fixture(name="urls")
def all_urls(folder, web):
    return {"disk": (folder / "records.html").as_uri(),
            "server": f"http://127.0.0.1:{web[0]}/records.html",
            "insecure": f"http://{HOST}:{web[0]}/records.html"}  # fmt: skip


@pytest.fixture(name="url")
def one_url(urls):
    return urls["disk"]


BUTTONS = "return [...document.querySelectorAll('button')].filter((b) => b.ariaLabel === arguments[0])"


def button(browser, label):
    """The one button of this accessible name, in sight."""
    (found,) = browser.js(BUTTONS, label)
    browser.js("arguments[0].scrollIntoView({block: 'center'})", found)
    return found


def copied(browser, label):
    """Presses the button of this name; what is in the clipboard then."""
    found = button(browser, label)
    found.click()
    browser.wait("return arguments[0].classList.contains('copied')", found)
    return clipboard(browser)


def clipboard(browser):
    return browser.driver.execute_async_script(
        "const done = arguments[0]; navigator.clipboard.readText().then(done, (e) => done(`${e}`))")


def name_of(record, records):
    """As the buttons call it."""
    alike = [r for r in records if (r["name"], r["type"]) == (record["name"], record["type"])]
    number = f", {alike.index(record) + 1} of {len(alike)}" if len(alike) > 1 else ""
    return f"{record['name']} {record['type']}{number}"


def expected(sets):
    """(record, its name, the tenant's domain) of all."""
    return [(record, name_of(record, s["records"]), s["domain"])
            for s in sets for record in s["records"]]  # fmt: skip


def zone_line(record):
    """A line of a zone file, made here once more."""
    value = record["value"]
    if record["type"] == "TXT":
        parts = [value[i:i + 255] for i in range(0, len(value), 255)]
        value = " ".join(f'"{part}"' for part in parts)
    elif record["type"] == "CAA":
        value = f'0 issue "{value}"'
    return f"{record['name']}. {record['ttl']} IN {record['type']} {value}"


# --- the page as a document ---


def test_strictly_valid_html(folder, sets):
    """No error of the HTML parser, printable ASCII, headings without a gap."""
    text = (folder / "records.html").read_text(encoding="ascii")
    assert re.fullmatch(r"[ -~\n]*", text)
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    ids = [e.get("id") for e in tree.iter() if isinstance(e.tag, str) and e.get("id")]
    assert ids == ["search"]
    assert len(tree.findall(".//section")) == len(sets)
    levels = [int(e.tag[1]) for e in tree.iter() if re.fullmatch(r"h[1-6]", str(e.tag))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))


@pytest.mark.parametrize("where", ["disk", "server", "insecure"])
def test_nothing_is_loaded_and_the_console_is_silent(browser, urls, web, where):
    """From a disk and from a server: one request, no message, also after a search and a copy."""
    web[1].clear()
    browser.open(urls[where])
    browser.js("document.querySelector('input').focus()")
    ActionChains(browser.driver).send_keys("example.org").perform()
    copy = button(browser, "Copy all records of example.org")
    copy.click()
    browser.wait("return arguments[0].classList.contains('copied')", copy)
    assert browser.messages() == []
    assert browser.requests() == [urls[where]]
    assert web[1] == ([] if where == "disk" else ["/records.html"])


@pytest.mark.parametrize("evil", [
    "<script>window.evil = 1</script>", "<style>body { --evil: 1 }</style>",
    '<img src="http://127.0.0.1:1/" onerror="window.evil = 1">', '<p style="--evil: 1">x</p>',
    '<base href="http://127.0.0.1:1/">',
])
def test_the_policy_of_the_page_admits_nothing_else(browser, folder, sets, evil):
    """Were there a hole in the escaping, it would lead nowhere; and the console would tell."""
    text = (folder / "records.html").read_text()
    (folder / "evil.html").write_text(text.replace("<main>", f"<main>{evil}"))
    browser.open((folder / "evil.html").as_uri())
    assert browser.js("return document.querySelectorAll('.tenant').length") == len(sets)
    assert any("Content Security Policy" in message for message in browser.messages())
    assert browser.js("return window.evil") is None
    assert browser.js("return getComputedStyle(document.body).getPropertyValue('--evil')") == ""
    assert browser.js("return document.baseURI") == (folder / "evil.html").as_uri()


def test_without_javascript_everything_is_shown(browser, url, sets):
    """No button, no search; all values, as they are."""
    browser.open(url, scripts=False)
    body = browser.driver.find_element("tag name", "body")
    assert not body.find_elements("tag name", "button")
    assert not body.find_element("css selector", ".search").is_displayed()
    shown_text = body.text
    for record, _, domain in expected(sets):
        for text in (record["name"], record["value"], zone_line(record), domain):
            assert text in shown_text


def test_many_tenants(browser, tmp_path):
    """3,000 are all there, found and named to assistive programs, and have buttons where seen."""
    sets = write_page(tmp_path, {f"t{n}.example": POLICY for n in range(3000)})
    browser.open((tmp_path / "records.html").as_uri())
    assert browser.js("return document.querySelectorAll('.tenant').length") == 3000
    assert browser.js("return document.querySelectorAll('.record').length") == sum(
        len(s["records"]) for s in sets)
    regions = accessible(browser, "region")
    assert sorted(regions) == sorted(s["domain"] for s in sets)
    browser.driver.find_element("id", "search").send_keys("t29 served")
    assert status(browser) == "111 of 3000 tenants"
    assert len(shown(browser)) == 111
    label = f"Copy value of _mta-sts.{shown(browser)[-1]} TXT"
    assert not browser.js(BUTTONS, label)
    browser.js("document.querySelector('footer').scrollIntoView()")
    browser.wait(f"{BUTTONS}.length === 1", label)
    assert copied(browser, label).startswith("v=STSv1; id=")
    assert browser.messages() == []


# --- search ---


def status(browser):
    return browser.js("return document.querySelector('.search [role=status]').textContent")


def shown(browser):
    return browser.js("return [...document.querySelectorAll('.tenant')].filter("
                      "(t) => t.checkVisibility()).map((t) => t.querySelector('h2').textContent)")


def test_search_by_domain_state_and_id(browser, url, sets):
    """Every word counts, in any case; how many there are is announced; Escape shows all again."""
    browser.open(url)
    everything = [s["domain"] for s in sets]
    assert shown(browser) == everything and status(browser) == "6 tenants"
    field = browser.driver.find_element("id", "search")
    for words, domains in {
        "EXAMPLE.org": ["example.org"],
        "retiring": ["old.example"],
        "example retir": ["old.example"],
        "org retiring": [],
        sets[0]["id"].upper(): [s["domain"] for s in sets if s["id"] == sets[0]["id"]],
        "xn--": ["xn--bcher-kva.example"],
        "<b>": [],
        "  ": everything,
    }.items():
        field.clear()
        field.send_keys(words)
        assert shown(browser) == domains, words
        count = len(domains) or "None"
        assert status(browser) == ("6 tenants" if words == "  " else f"{count} of 6 tenants")
    field.send_keys("nothing", Keys.ESCAPE)
    assert field.get_attribute("value") == "" and shown(browser) == everything
    assert browser.messages() == []


# --- copying ---


@pytest.mark.parametrize("where", ["disk", "server"])
def test_each_field_and_record_is_copied_as_it_is(browser, urls, sets, where):
    """All but the relative host and the zone file line are what `records --format json` says."""
    browser.open(urls[where])
    chosen = sets if where == "disk" else sets[:1]
    for record, name, domain in expected(chosen):
        texts = {"full name": record["name"], "type": record["type"], "TTL": str(record["ttl"]),
                 "value": record["value"], "record": zone_line(record)}
        if record["type"] == "CAA":
            texts |= {"flags": "0", "tag": "issue"}
        zone = "example.com" if domain == LONG else domain
        texts["host"] = record["name"].removesuffix(f".{zone}")
        for field, text in texts.items():
            assert copied(browser, f"Copy {field} of {name}") == text
    for s in chosen:
        whole = copied(browser, f"Copy all records of {s['domain']}")
        assert whole.splitlines() == [zone_line(r) for r in s["records"]]
    assert browser.messages() == []


def announced(browser, sentence):
    browser.wait("return document.querySelector('.said').textContent === arguments[0]", sentence)


def test_what_was_copied_is_shown_and_announced(browser, url):
    browser.open(url)
    found = button(browser, "Copy value of _mta-sts.example.org TXT")
    assert found.text == ""
    found.click()
    browser.wait("return arguments[0].innerText === 'Copied'", found)
    announced(browser, "Copied value of _mta-sts.example.org TXT")
    browser.js("later.forEach((f) => f())")
    assert found.text == "" and found.get_attribute("class") == "small"  # as before


def test_copying_where_the_browser_has_no_clipboard(browser, urls, sets):
    """http: pages have no navigator.clipboard; the old way is taken, and the focus stays."""
    browser.open(urls["insecure"])
    assert browser.js("return navigator.clipboard") is None
    record, name, _ = expected(sets)[-1]
    found = button(browser, f"Copy value of {name}")
    found.click()
    browser.wait("return arguments[0].classList.contains('copied')", found)
    assert browser.driver.switch_to.active_element == found
    field = browser.driver.find_element("id", "search")
    field.send_keys(Keys.CONTROL, "v")
    assert field.get_attribute("value") == record["value"]


def test_copying_that_is_refused_selects(browser, urls):
    """Then the keyboard copies what is selected, and the page says so."""
    browser.open(urls["insecure"])
    browser.js("document.execCommand = () => false")
    found = button(browser, "Copy record of _mta-sts.example.org TXT")
    found.click()
    browser.wait("return arguments[0].innerText === 'Selected'", found)
    announced(browser, "Selected record of _mta-sts.example.org TXT; copy it with the keyboard")
    selected = browser.js("return getSelection().toString()")
    assert re.fullmatch(r'_mta-sts\.example\.org\. \d+ IN TXT "v=STSv1; id=\w+;"', selected)


# --- for everybody ---


def test_by_keyboard_alone(browser, url):
    """/ goes to the search; Tab goes on to the buttons of what was found, in reading order."""
    browser.open(url)
    keys = ActionChains(browser.driver)
    keys.send_keys("/").perform()
    assert browser.js("return document.activeElement.id") == "search"
    keys.send_keys("a/example.org").perform()  # in the field it is a character
    assert browser.js("return document.activeElement.value") == "a/example.org"
    keys.send_keys(Keys.ESCAPE, "example.org").perform()
    labels = []
    for _ in range(8):
        keys.send_keys(Keys.TAB).perform()
        labels.append(browser.js("return document.activeElement.ariaLabel"))
    name = "mta-sts.example.org A, 1 of 2"
    assert labels[:7] == ["Copy all records of example.org",
                          *(f"Copy {field} of {name}" for field in FIELDS),
                          f"Copy record of {name}"]  # fmt: skip
    assert browser.js("const s = getComputedStyle(document.activeElement);"
                      "return s.outlineStyle === 'solid' && parseFloat(s.outlineWidth) >= 2")
    keys.key_down(Keys.SHIFT).send_keys(Keys.TAB, Keys.TAB).key_up(Keys.SHIFT).perform()
    keys.send_keys(Keys.ENTER).perform()
    announced(browser, f"Copied value of {name}")
    assert clipboard(browser) == "192.0.2.1"
    assert browser.js("return document.activeElement.ariaLabel") == f"Copy value of {name}"


def accessible(browser, role):
    """The names of everything of this role, as assistive programs get them."""
    nodes = browser.devtools("Accessibility.getFullAXTree")["nodes"]
    return [n["name"]["value"] for n in nodes
            if not n["ignored"] and n["role"]["value"] == role]  # fmt: skip


def test_accessibility_tree(browser, url, sets):
    """Names of buttons are meaningful and none is twice; tenants, lists and status are exposed."""
    browser.open(url)
    buttons = accessible(browser, "button")
    assert len(buttons) == len(set(buttons)) > 100
    assert all(name.startswith("Copy ") for name in buttons)
    assert "Copy value of _mta-sts.example.org TXT" in buttons
    headings = accessible(browser, "heading")
    assert headings[0] == "DNS records for MTA-STS"
    assert {s["domain"] for s in sets} <= set(headings)
    assert sorted(accessible(browser, "region")) == sorted(s["domain"] for s in sets)
    assert accessible(browser, "searchbox") == ["Search by domain, state or id"]
    for role, count in (("search", 1), ("main", 1), ("banner", 1), ("status", 2)):
        assert len(accessible(browser, role)) == count, role


CONTRAST = r"""
const parse = (text) => text.match(/[\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const back = (element) => {
    for (let e = element; e; e = e.parentElement) {
        const colour = parse(getComputedStyle(e).backgroundColor);
        if (colour.length === 3) return colour;  /* with alpha it is 0 everywhere here */
        if (colour[3] !== 0) throw Error(`half transparent: ${e.outerHTML}`);
    }
    throw Error('no background');
};
const found = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.localName === 'script') continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(back(e))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 200)]);
}
return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_every_text(browser, folder, sets, scheme):
    """4.5:1 (WCAG 2.2, 1.4.3), with all states of tenants, steps and buttons on the page."""
    badges = "".join(f'<p><span class="badge {s}">{s}</span></p>' for s in (
        "served", "kept", "retiring", "no-certificate", "withdrawn", "pending"))
    steps = "".join(f'<li class="step {s}"><b>{s}</b> text</li>' for s in ("done", "now", "wait"))
    text = (folder / "records.html").read_text()
    extra = f'<p class="pending note">reason</p>{badges}<ol>{steps}</ol>'
    assert '<div class="title">' in text
    (folder / "states.html").write_text(
        text.replace('<div class="title">', f'{extra}<div class="title">', 1))
    browser.open((folder / "states.html").as_uri(), scheme=scheme)
    browser.js("document.querySelectorAll('button span').forEach((s) => { s.hidden = false; });"
               "document.querySelectorAll('button').forEach((b, i) =>"
               "b.classList.add(['copied', 'failed', 'x'][i % 3]));"
               "document.querySelectorAll('.small span:last-child').forEach((s) =>"
               "s.textContent = 'Copied');")
    found = browser.js(CONTRAST)
    assert len(found) > 200
    assert [f for f in found if f[0] < 4.5] == []
    background = browser.js("return getComputedStyle(document.body).backgroundColor")
    assert (int(re.search(r"\d+", background)[0]) < 128) == (scheme == "dark")


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_nothing_is_wider_than_the_window(browser, url, width):
    browser.open(url, width=width)
    for tenant in browser.driver.find_elements("class name", "tenant"):
        browser.js("arguments[0].scrollIntoView()", tenant)  # laid out only when in sight
        assert browser.js("return document.scrollingElement.scrollWidth <= innerWidth")
        assert browser.js("return arguments[0].scrollWidth <= arguments[0].clientWidth", tenant)
    assert browser.js("return innerWidth") == width


def test_print_and_less_motion(browser, url, sets):
    """On paper there are all records and no controls."""
    browser.open(url)
    browser.media("print", scheme="dark")
    assert not browser.js("return [...document.querySelectorAll('button, .search')].filter("
                          "(e) => e.checkVisibility()).length")
    assert len(shown(browser)) == len(sets)
    assert browser.js("return getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    browser.devtools("Emulation.setEmulatedMedia", media="",
                     features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    duration = "return getComputedStyle(document.querySelector('button')).transitionDuration"
    assert browser.js(duration) == "0s"
    browser.media()
    assert browser.js(duration) != "0s"


def test_hostile_values_stay_text(browser, url, sets):
    """& and ' of a report address and of a CAA are shown as they are, and make no element."""
    browser.open(url)
    texts = browser.js("return [...document.querySelectorAll('code')].map((c) => c.textContent)")
    hostile = [r["value"] for r, *_ in expected(sets) if "&" in r["value"]]
    assert any("a&ltb'c%2Cd" in value for value in hostile) and len(hostile) > len(sets)
    for value in hostile:
        assert value in texts
    assert not browser.js("return document.querySelectorAll('code *').length")


# --- states and steps of a running server ---


@contextlib.contextmanager
def stopped(daemon):
    """The server stands still and loads nothing."""
    daemon.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.send_signal(signal.SIGCONT)


def test_every_state_with_its_steps(browser, serve, run, tmp_path):
    """Served, kept, retiring, withdrawn and pending, and what comes next on which date."""
    names = ["served.example", "kept.example", "retiring.example", "withdrawn.example"]
    config = {"listen": [{"address": "127.0.0.1:0", "tls": False}], "reload": FAST,
              "ledger": str(tmp_path / "ledger.db"), "tenants": dict.fromkeys(names, POLICY)}
    daemon = serve(config=json.dumps(config))
    receipt = tmp_path / "receipt"
    run("records", "-c", daemon.config, "--receipt", receipt)
    assert run("records", "-c", daemon.config, "--mark-published", receipt).returncode == 0
    del config["tenants"]["withdrawn.example"]
    config["tenants"] |= {"retiring.example": {**POLICY, "retire": True},
                          "kept.example": {**POLICY, "mode": "enforced"}}
    daemon.config.write_text(json.dumps(config))
    daemon.wait_for("event=reload result=done .*kept=1 retiring=1")
    shown = {}
    with stopped(daemon):
        config["tenants"]["pending.example"] = POLICY
        daemon.config.write_text(json.dumps(config))
        for arguments in [], ["--changed"]:
            done = run("records", "-c", daemon.config, "--format", "html", *arguments)
            (tmp_path / "page.html").write_text(done.stdout)
            browser.open((tmp_path / "page.html").as_uri())
            for tenant in browser.driver.find_elements("class name", "tenant"):
                shown[tenant.get_attribute("aria-label")] = tenant.text
            assert browser.messages() == []
    for state in "served", "kept", "retiring", "withdrawn", "pending":
        assert re.search(rf"\b{state}\b", shown[f"{state}.example"].split("\n", 1)[1]), shown
    assert "the running server does not serve it yet" in shown["pending.example"]
    assert re.search(r"(?i)\nwait until \d{4}-\d\d-\d\d .*\nremove the records, then the tenant",
                     shown["retiring.example"])
    assert "put it back with retire: on until" in shown["withdrawn.example"]
    assert "is in DNS" in shown["served.example"]
