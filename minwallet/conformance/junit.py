"""The results as JUnit XML, for build servers. Advice is not a failure there, but text in the case's output."""

from collections.abc import Sequence
from xml.etree import ElementTree

from minwallet.conformance.report import describe_result
from minwallet.conformance.runner import CaseResult


def render_junit(protocol: str, results: Sequence[CaseResult]) -> bytes:
    """Return the document."""
    verdicts = [result.verdict for result in results]
    counts = {
        "tests": len(verdicts),
        "failures": verdicts.count("fail"),
        "skipped": verdicts.count("skipped"),
        "errors": verdicts.count("error"),
    }
    attributes = {name: str(count) for name, count in counts.items()}
    suite = ElementTree.Element("testsuite", {"name": f"conformance of {protocol}", **attributes})
    for result in results:
        suite.append(_render_case(protocol, result))
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    document: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return document


def _render_case(protocol: str, result: CaseResult) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": f"conformance.{protocol}", "name": result.name})
    match result.verdict:
        case "fail":
            message = {"message": f"expected: {result.expected}; received: {result.received}"}
            ElementTree.SubElement(case, "failure", message).text = _describe_result(result)
        case "skipped":
            ElementTree.SubElement(case, "skipped", {"message": result.received})
        case "error":
            ElementTree.SubElement(case, "error", {"message": result.received})
        case "advice":
            ElementTree.SubElement(case, "system-out").text = f"advice\n{_describe_result(result)}"
        case "pass":
            pass
    return case


def _describe_result(result: CaseResult) -> str:
    return "\n".join([result.rule, *describe_result(result)])
