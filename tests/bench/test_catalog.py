"""The catalog of the benches."""

from bench.catalog import BENCHES
from tests.processes import ROOT


def test_every_bench_of_the_catalog_has_its_module_and_its_line_in_the_readme() -> None:
    readme = (ROOT / "bench" / "README.md").read_text()
    for bench in BENCHES:
        assert (ROOT / "bench" / f"{bench.name}.py").exists()
        assert f"| `{bench.name}` |" in readme
