from pathlib import Path

import pytest
from tiny_results import tiny_results

from edsr_int8.report.results import Results


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return tiny_results(tmp_path)
