"""Rows of tests/cluster/faults that disturb the trainers of a gang."""
import signal
import time

from fault_support import LANES, LIMIT


def has_met(gang):
    """Whether the trainers have found one another. Before that only their launcher notices that one is lost."""
    return "has loaded" in gang.text()


def wait_for_others(gang, lost, *words):
    """Waits until all but one have ended, with a message of these words unless they had done their work."""
    others = [rank for rank in range(len(gang.all)) if rank != lost]
    deadline = time.monotonic() + LIMIT
    while any(gang.all[rank].poll() is None for rank in others):
        assert time.monotonic() < deadline, f"trainers still wait for trainer {lost} after {LIMIT} s\n{gang.text()}"
        time.sleep(0.01)
    for rank in others:
        code, text = gang.all[rank].returncode, gang.text_of(rank)
        assert code == 0 or (code == 1 and all(word in text for word in words)), f"exit code {code}\n{gang.text()}"


def kill_one(course, gang):
    """Kills a trainer and waits until the others have ended. Returns whether the run had not ended before."""
    lost = course.rng.randrange(len(gang.all))
    met = has_met(gang)
    course.fault(anew=True)
    gang.all[lost].kill()
    if gang.all[lost].wait(LIMIT) != -signal.SIGKILL:
        course.came_too_late()
        return False
    if not met:
        gang.end_others()
        gang.wait(LIMIT)
    elif len(gang.all) > 1:
        wait_for_others(gang, lost, "another trainer has ended")
    return True


def finish(course, gang):
    course.wait_for_end(gang.all[0])
    assert gang.wait(LIMIT) == [0] * len(gang.all), gang.text()


def disturb(course, next_size):
    """Kills trainers at moments from the start of a gang to the end of the run, and starts gangs until one ends well."""
    course.write_alone()
    size = next_size(None)
    while True:
        with course.gang(size) as gang:
            if not course.next(gang.all[0], 0, 1.5 * course.seconds) or not kill_one(course, gang):
                return finish(course, gang)
        size = next_size(size)


def trainer(course):
    """One of two trainers is killed, and both are started again."""
    disturb(course, lambda _: 2)


def trainer_host(course):
    """A trainer is killed, and the run continues with another number of them."""
    disturb(course, lambda before: course.rng.choice([size for size in (1, 2, LANES) if size != before]))


def stopped_trainer(course):
    """One of two trainers stops to run without an end, as when its machine freezes; both are started again."""
    course.write_alone()
    while True:
        with course.gang(2) as gang:
            course.begin(gang.all[0], lambda: has_met(gang))
            if not course.next(gang.all[0], 0, course.seconds):
                return finish(course, gang)
            lost = course.rng.randrange(2)
            course.fault(anew=True)
            gang.all[lost].send_signal(signal.SIGSTOP)
            wait_for_others(gang, lost, "no sign of life", f"trainer {lost} on ")
            course.watch.progressed()
        course.repaired(anew=True)
