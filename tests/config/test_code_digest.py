import pytest

from osteoray.config.code_digest import code_digest


@pytest.fixture
def project(tmp_path):
    package = tmp_path / "src" / "osteoray"
    (package / "a").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "a" / "__init__.py").write_text('"""Room."""')
    (package / "a" / "direct.py").write_text("from osteoray.a.deep import f\n\ndef g():\n    return f() + 1\n")
    (package / "a" / "deep.py").write_text('"""Doc."""\n\ndef f():\n    """One."""\n    return 1  # why\n')
    (package / "a" / "other.py").write_text("def h():\n    return 2\n")
    (tmp_path / "script.py").write_text("from osteoray.a.direct import g\nprint(g())\n")
    return tmp_path


def edit(project, name, old, new):
    path = next(project.rglob(name))
    before = digest(project)
    path.write_text(path.read_text().replace(old, new))
    return before, digest(project)


def digest(project):
    return code_digest(project / "script.py", project / "src")


def test_equal_code_has_an_equal_digest(project):
    assert digest(project) == digest(project)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("script.py", "g())", "g() + 1)"), ("direct.py", "+ 1", "+ 2"), ("deep.py", "return 1", "return 3")],
)
def test_a_change_of_meaning_anywhere_below_changes_the_digest(project, name, old, new):
    before, after = edit(project, name, old, new)
    assert before != after


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("deep.py", "# why", "# why not"),
        ("deep.py", "One.", "Two."),
        ("deep.py", "Doc.", ""),
        ("direct.py", "\n\n", "\n"),
    ],
)
def test_comments_docstrings_and_spacing_mean_nothing(project, name, old, new):
    before, after = edit(project, name, old, new)
    assert before == after


def test_a_module_that_is_not_imported_means_nothing(project):
    before, after = edit(project, "other.py", "2", "3")
    assert before == after


def test_an_import_inside_a_function_counts(project):
    edit(project, "script.py", "print(g())", "def main():\n    from osteoray.a import other\n    other.h()\n")
    before, after = edit(project, "other.py", "2", "3")
    assert before != after


@pytest.mark.parametrize(
    ("old", "new", "same"), [("+ 1;", "+ 2;", False), ("why", "why not", True), (" + ", "  + ", True)]
)
def test_the_c_file_of_a_module_counts_by_its_meaning(project, old, new, same):
    source = project / "src" / "osteoray" / "a" / "deep.c"
    source.write_text("/* why */ int f(int a) { return a + 1; }\n")
    before, after = edit(project, "deep.c", old, new)
    assert (before == after) == same
