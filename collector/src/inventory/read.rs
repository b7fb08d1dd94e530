//! Files to a register.
