//! The CPUs that a test's traffic is sent from. A frame between virtual interfaces is received on the
//! CPU that sent it, and so lands in that CPU's ring.

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// Keeps this thread, and the threads that it starts from now on, on one CPU: what they send has one
/// order, for everybody who looks. Frames of two CPUs may overtake each other between two onlookers.
pub fn stay_on_one() {
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("the CPUs allowed");
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    stay_on(first.expect("a CPU"));
}

/// The same, on a CPU of one's choice.
pub fn stay_on(cpu: usize) {
    let mut one = CpuSet::new();
    one.set(cpu).expect("a CPU");
    sched_setaffinity(Pid::from_raw(0), &one).expect("there are so many CPUs");
}

/// How many the kernel allows for: the rings of an agent.
pub fn possible() -> usize {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/possible").expect("it says");
    let last = list.trim().rsplit(['-', ',']).next();
    last.and_then(|last| last.parse::<usize>().ok())
        .expect("a number")
        + 1
}

/// CPU time of this thread, for tests of what something costs.
pub fn thread_cpu_time() -> std::time::Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.expect("every kernel has this clock").into()
}
