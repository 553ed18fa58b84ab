"""Findings as JUnit XML, which build servers read. Advice is no failure there: it goes into a case's output."""

from collections.abc import Sequence
from xml.etree import ElementTree

from minwallet.conformance.trial import Finding


def to_junit(protocol: str, findings: Sequence[Finding]) -> bytes:
    """The document."""
    verdicts = [finding.verdict for finding in findings]
    counts = {"tests": len(verdicts), "failures": verdicts.count("fail"), "skipped": verdicts.count("skipped")}
    attributes = {name: str(count) for name, count in counts.items()} | {"errors": "0"}
    suite = ElementTree.Element("testsuite", {"name": f"conformance of {protocol}", **attributes})
    for finding in findings:
        suite.append(_case(protocol, finding))
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    document: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return document


def _case(protocol: str, finding: Finding) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": f"conformance.{protocol}", "name": finding.name})
    match finding.verdict:
        case "fail":
            message = {"message": f"expected {finding.expected}, came {finding.came}"}
            ElementTree.SubElement(case, "failure", message).text = _story(finding)
        case "skipped":
            ElementTree.SubElement(case, "skipped", {"message": finding.came})
        case "advice":
            ElementTree.SubElement(case, "system-out").text = f"advice\n{_story(finding)}"
        case "pass":
            pass
    return case


def _story(finding: Finding) -> str:
    lines = [finding.rule, finding.spec, *finding.sent, f"expected {finding.expected}", f"came {finding.came}"]
    return "\n".join([*lines, finding.answer])
