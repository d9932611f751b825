#!/usr/bin/env python3
"""Runs the replay tool over all recordings and judges what it reports.

A scenario passes when it passes, or when each step that differs is listed in expected-differences.json. Steps after a listed one
may be listed too: they see what the different answer left behind.
"""
import json
import re
import subprocess
import sys

shared, start, expectations = sys.argv[1:4]
with open(expectations, encoding="utf-8") as f:
    expected = {(e["scenario"], e["step"]) for e in json.load(f)}

run = subprocess.run(
    ["python3", shared + "/tools/replay.py", "--server-cmd", start, "--level", "exact", "--max-mismatches", "1000", "-j", "2",
     "--retries", "1", shared + "/golden"],
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
passed, tolerated, failed = 0, 0, 0
scenario, steps, report = None, [], []


def judge():
    """Counts the failed scenario whose lines have just been read."""
    global tolerated, failed
    if scenario is None:
        return
    if steps and all((scenario, s) in expected for s in steps):
        tolerated += 1
        return
    failed += 1
    print("\n".join(report))


for line in run.stdout.splitlines():
    head = re.match(r"(PASS|FAIL|FLAKY) +(\S+)", line)
    if head or re.match(r"\d+ passed", line):
        judge()
        scenario, steps, report = None, [], [line]
        if head and head.group(1) != "FAIL":
            passed += 1
            if head.group(1) == "FLAKY":
                print(line)
        elif head:
            scenario = head.group(2)
        continue
    step = re.match(r" +step (\d+):", line)
    if step:
        steps.append(int(step.group(1)))
    report.append(line)
judge()
print(f"{passed} scenarios as recorded, {tolerated} with listed differences only, {failed} failed")
sys.exit(1 if failed else 0)
