"""Debian's Chromium without a window, driven through its DevTools."""

import contextlib
import functools
import http.server
import json
import os
import pathlib
import threading

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from . import DEADLINE

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage"]  # fmt: skip


def _at_home(folder):
    """An environment in which what a browser keeps about its user, crashes and fonts is there."""
    home = pathlib.Path(folder)
    home.mkdir(exist_ok=True)
    fonts = home / "fonts.conf"
    # Not all of /etc/fonts/fonts.conf, which names the cache of the system, and root would write it.
    fonts.write_text(f"<fontconfig><dir>/usr/share/fonts</dir><cachedir>{home}/fonts</cachedir>"
                     "<include>/etc/fonts/conf.d</include></fontconfig>")
    own = {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home, "FONTCONFIG_FILE": fonts}
    return os.environ | {name: str(path) for name, path in own.items()}


class Browser:
    """One window. `hosts`: names that are this machine, and no secure origins."""

    def __init__(self, profile, hosts=()):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        rules = ",".join(f"MAP {host} 127.0.0.1" for host in hosts)
        for flag in [*FLAGS, f"--user-data-dir={profile}", f"--host-resolver-rules={rules}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = Service("/usr/bin/chromedriver", env=_at_home(profile))
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_script_timeout(DEADLINE)
        self.driver.set_page_load_timeout(DEADLINE)

    def close(self):
        self.driver.quit()

    def devtools(self, method, **parameters):
        return self.driver.execute_cdp_cmd(method, parameters)

    def open(self, url, width=1280, scheme="light", scripts=True):
        """Loads the page in a window `width` wide, as a new visitor sees it."""
        self.devtools("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=800,
                      deviceScaleFactor=1, mobile=width < 600)
        self.media(scheme=scheme)
        self.driver.get("about:blank")
        self.messages()
        self.requests()
        self.driver.get(url)

    def media(self, kind="", scheme="light"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", media=kind, features=features)

    def js(self, script, *args):
        return self.driver.execute_script(script, *args)

    def wait(self, script, *args):
        """Until the script gives something true; that."""
        return WebDriverWait(self.driver, DEADLINE, 0.02).until(lambda _: self.js(script, *args))

    def messages(self):
        """What the console said since the last time, violations of the page's policy included."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """The addresses of everything that was asked for since the last time."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events
                if e["method"] == "Network.requestWillBeSent"]  # fmt: skip


@contextlib.contextmanager
def folder_served(folder):
    """A plain web server of `folder`: (port, the paths it was asked for)."""
    paths = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):  # pylint: disable=redefined-builtin
            paths.append(self.path)

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], paths
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
