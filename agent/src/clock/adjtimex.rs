//! The kernel's word on whether the host's clock is disciplined: `adjtimex(2)` has no safe wrapper.
#![allow(unsafe_code)]

/// Whether the kernel holds the clock synchronised.
pub(super) fn synchronised() -> bool {
    // SAFETY: `timex` is a C structure of integers only, for which zero bytes are a valid value.
    let mut asked: libc::timex = unsafe { std::mem::zeroed() };
    // Zero, also said by the line above: nothing is to be set, so no privilege is needed.
    asked.modes = 0;
    // SAFETY: the pointer is to a live `timex` of this process, which the kernel only fills during the call.
    let state = unsafe { libc::adjtimex(&raw mut asked) };
    state != -1 && state != libc::TIME_ERROR && asked.status & libc::STA_UNSYNC == 0
}
