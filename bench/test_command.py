"""The command line from end to end, on few elements."""

import json

import pytest

import simdloss

from . import __main__


def test_report_and_json(tmp_path, capsys):
    path = tmp_path / "found.json"
    assert __main__.main(["--quick", "--filter", "^sigmoid/float32/tiny", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "none wrong" in printed
    assert "% roof" in printed
    content = json.loads(path.read_text())
    (result,) = content["results"]
    best = result["contenders"][simdloss.isas()[0]]
    assert best["right"]
    assert best["times_faster_than"]["numpy"] == pytest.approx(
        result["contenders"]["numpy"]["ns_per_element"] / best["ns_per_element"], rel=0.5
    )
    assert 0 < best["share_of_roofline"] < 1.5
    assert content["limits"]["gb_per_s"]["read"]["L1"] > 0


def test_peers_are_reported(capsys):
    assert __main__.main(["--quick", "--peers", "--filter", "^log_sigmoid/float32/tiny"]) == 0
    printed = capsys.readouterr().out
    assert "times faster than each peer's best form" in printed
    assert "log_expit(x, out=y)" in printed


def test_goals_are_reported(tmp_path, capsys):
    path = tmp_path / "found.json"
    assert __main__.main(["--peers", "--goals", "--filter", "out=/log_sigmoid/float32", "--json", str(path)]) == 0
    assert "np.exp" in capsys.readouterr().out
    found = json.loads(path.read_text())["goals"]
    assert [goal["rival"] for goal in found] == ["np.exp", "scipy"]
    for goal in found:
        best = simdloss.isas()[0]
        assert goal["reached"][best] == (goal["ratios"][best] >= goal["goal"])


def test_goals_of_several_threads(capsys):
    try:
        assert __main__.main(["--peers", "--goals", "--threads", "2", "--filter", "2 threads/log_sigmoid"]) == 0
    finally:
        simdloss.set_num_threads(1)
    printed = capsys.readouterr().out
    assert "one thread" in printed
    assert "1 of 1 reached" in printed or "0 of 1 reached" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--goals"], "they need --peers"),
        (["--compile"], "they need --peers"),
        (["--plot", "found.txt"], "ends in .png"),
        (["--threads", "0"], "is not a whole number above 0"),
        (["--filter", "("], "is not a regular expression"),
    ],
)
def test_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        __main__.main(arguments)
    assert message in capsys.readouterr().err


def test_plot(tmp_path):
    path = tmp_path / "found.svg"
    assert __main__.main(["--quick", "--filter", "^sigmoid/float32/tiny", "--plot", str(path)]) == 0
    assert "share of the roofline" in path.read_text()
