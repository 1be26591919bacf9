import subprocess
import sys

LIGHT = "app.main app.stats app.gates app.gates.rollout.schemas app.gates.schemas app.gates.outcome app.registry.kinds.gate_policy"


def test_what_the_service_imports_at_start_loads_no_numerics() -> None:
    code = f"import sys, importlib; [importlib.import_module(m) for m in '{LIGHT}'.split()]; "
    code += "print(sorted({'numpy', 'scipy', 'pandas', 'openai', 'tiktoken'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_room_offers_its_modules_and_nothing_else() -> None:
    from app import stats

    assert stats.paired.p_worse([0.0]) == 1.0
    assert not hasattr(stats, "no_such_module")
