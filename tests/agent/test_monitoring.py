# SPDX-License-Identifier: Apache-2.0
"""tools/monitoring, against a real Prometheus: the alert rules do what their tests say, the metrics of an agent are well
formed, and every query of the dashboard and of the rules finds something in them."""
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request

from harness import main
from netlab.namespace import inside
from tap import skip

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "tools", "monitoring")
METRICS, PROMETHEUS = "127.0.0.1:9321", "127.0.0.1:9090"
CONFIG = f"""global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{FOLDER}/alerts.yml]
scrape_configs:
  - job_name: storage
    static_configs: [{{targets: ["{METRICS}"]}}]
"""
VARIABLES = {"$job": "storage", "$instance": ".*", "$__rate_interval": "10s"}


def promtool(t, what, *arguments, text=None):
    done = subprocess.run(["promtool", *arguments], cwd=FOLDER, input=text, capture_output=True, text=True, timeout=60)
    t.ok(done.returncode == 0 and done.stderr == "", what, done.stdout + done.stderr)


def rules(t):
    promtool(t, "the rules are well formed", "check", "rules", "alerts.yml")
    promtool(t, "they fire when they should", "test", "rules", "alerts_test.yml")
    with open(os.path.join(FOLDER, "alerts.yml")) as f:
        alerts = set(re.findall(r"alert: (\w+)", f.read()))
    with open(os.path.join(FOLDER, "alerts_test.yml")) as f:
        tested = set(re.findall(r'alertname="(\w+)"', f.read()))
    t.ok(alerts == tested and len(alerts) > 10, "each of them fires in a test", alerts ^ tested)


class Prometheus:
    """One that scrapes the agent of the host, in its namespace."""

    def __init__(self, t, world):
        self.namespace = world.host.namespace
        path = os.path.join(t.directory, "prometheus.yml")
        with open(path, "w") as f:
            f.write(CONFIG)
        log = open(os.path.join(t.directory, "prometheus.log"), "w")
        t.popen(self.namespace, ["prometheus", f"--config.file={path}", f"--web.listen-address={PROMETHEUS}",
                                 f"--storage.tsdb.path={t.directory}/tsdb"], stdout=log, stderr=log)

    def get(self, path, **parameters):
        url = f"http://{PROMETHEUS}{path}?{urllib.parse.urlencode(parameters)}"
        return json.loads(inside(self.namespace, lambda: urllib.request.urlopen(url, timeout=5).read()))

    def result(self, query):
        for name, value in VARIABLES.items():
            query = query.replace(name, value)
        return self.get("/api/v1/query", query=query)["data"]["result"]

    def has(self, query):
        """For waiting: it answers, and finds something."""
        def check():
            try:
                return bool(self.result(query))
            except OSError:
                return False
        return check


def queries():
    """(title, query) of each panel and each variable of the dashboard."""
    with open(os.path.join(FOLDER, "dashboard.json")) as f:
        dashboard = json.load(f)
    found = [(p["title"], t["expr"]) for p in dashboard["panels"] for t in p.get("targets", [])]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found.append((f"${variable['name']}", re.match(r"label_values\((.*), \w+\)$", variable["query"]["query"])[1]))
    return found


def dashboard(t):
    world, _, _, agent, home = t.settled(hold="600s", top=f'metrics-listen = "{METRICS}"')
    promtool(t, "the metrics are well formed", "check", "metrics", text=agent.command("metrics")[1])
    prometheus = Prometheus(t, world)
    t.eventually(prometheus.has("up == 1"), "a Prometheus reads them", seconds=60)
    world.cut(world.node(1), "data")
    t.eventually(lambda: agent.get("next_hop") != home, "the route moves")
    world.plug(world.node(1), "data")
    t.eventually(prometheus.has("reroute_failback_wait_seconds > 0"), "and waits to return", seconds=60)
    for title, query in queries():
        t.eventually(prometheus.has(query), f"the panel '{title}' shows something", detail=query, seconds=60)
    with open(os.path.join(FOLDER, "alerts.yml")) as f:
        names = set(re.findall(r"reroute_\w+", " ".join(re.findall(r"expr: (.*)", f.read()))))
    missing = [name for name in names if not prometheus.has(name)()]
    t.ok(not missing and len(names) > 8, "every metric of the rules is there", missing)
    alerts = lambda: {a["labels"]["alertname"]: a["state"] for a in prometheus.get("/api/v1/alerts")["data"]["alerts"]}
    t.eventually(lambda: alerts() == {"RerouteAway": "pending"}, "that it is away will be an alert", detail=alerts)


if not shutil.which("promtool") or not shutil.which("prometheus"):
    skip("no Prometheus here: tools/setup --tests installs it")
sys.exit(main([rules, dashboard]))
