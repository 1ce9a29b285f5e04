"""Resume files: what they keep, and what they do not trust."""

import math

import pytest

from mnmef.io.resume import ResumeFile, drop_states, earlier


def test_results_survive_with_every_digit_and_are_found_by_their_keys(tmp_path):
    path = tmp_path / "folder" / "resume.json"
    first = ResumeFile(path, "a")
    first.add({("letkf", 0.1, None): [1 / 3, math.nan], ("letkf", 5): {"rmse": 0.1}})
    first.add({("enkf",): 2})
    second = ResumeFile(path, "a")
    assert ("letkf", 0.1, None) in second
    assert ("letkf", 0.1) not in second
    assert second["letkf", 0.1, None][0] == 1 / 3
    assert math.isnan(second["letkf", 0.1, None][1])
    assert (second["letkf", 5], second["enkf",]) == ({"rmse": 0.1}, 2)
    assert {each.name for each in path.parent.iterdir()} == {"resume.json", "resume.earlier.json"}
    drop_states(path)
    assert not list(path.parent.iterdir())


def test_nothing_is_written_without_a_path_or_before_there_is_a_result(tmp_path):
    resume = ResumeFile()
    resume.add({(1,): 2})
    assert resume[1,] == 2
    ResumeFile(tmp_path / "resume.json", "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "damaged"),
        ("a,b\n1,2\n", "damaged"),
        ("[1]", "damaged"),
        ("1", "damaged"),
        ('{"digest": "a"}', "damaged"),
        ('{"digest": "a", "results": 3}', "damaged"),
        ('{"digest": "a", "sha256": "", "results": {"[1]": 2}}', "damaged"),
        ("\x00\xff", "damaged"),
        ('{"digest": "b", "results": {"[1]": 2}}', "of other code or data"),
    ],
)
def test_a_damaged_file_and_one_of_other_code_start_anew_and_say_so(tmp_path, capsys, content, said):
    path = tmp_path / "resume.json"
    path.write_text(content, encoding="latin-1")
    resume = ResumeFile(path, "a")
    assert resume.results == {}
    printed = capsys.readouterr().out
    assert said in printed
    assert f"{path} is" in printed
    assert "anew" in printed
    resume.add({(1,): 3})
    assert ResumeFile(path, "a").results == {"[1]": 3}
    assert not earlier(path).exists()


def test_whatever_bit_of_the_newest_file_flips_the_state_before_it_is_kept(tmp_path):
    path = tmp_path / "resume.json"
    written = ResumeFile(path, "a")
    written.add({(1,): 0.25})
    written.add({(2,): 0.5})
    both, before = written.results, {"[1]": 0.25}
    whole, first = path.read_bytes(), earlier(path).read_bytes()
    for bit in range(0, 8 * len(whole), 7):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        earlier(path).write_bytes(first)
        found = ResumeFile(path, "a").results
        assert found in (both, before)  # white space may change
        ResumeFile(path, "a").add({(3,): 1.0})
        assert ResumeFile(earlier(path), "a").results in (both, before)
