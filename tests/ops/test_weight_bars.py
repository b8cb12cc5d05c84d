"""What moves on stderr while weights are on their way."""

import threading

from cluster.staging import Moved
from ops.commands.weight_bars import WeightBars


def test_a_node_has_one_bar_however_many_threads_tell_of_it() -> None:
    with WeightBars() as bars:
        together = threading.Barrier(8)

        def tell(done_bytes: int) -> None:
            together.wait()
            bars.report(Moved("n", "org/demo", done_bytes, 10))

        threads = [threading.Thread(target=tell, args=(at,)) for at in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(bars._bars.tasks) == 1


def test_the_next_checkpoint_takes_the_bar_of_the_one_before() -> None:
    with WeightBars() as bars:
        bars.report(Moved("[n]", "org/a", 5, 10))
        bars.report(Moved("[n]", "org/b", 1, 20))
        (task,) = bars._bars.tasks
        assert (task.description, task.completed, task.total) == (r"\[n] org/b", 1, 20)
