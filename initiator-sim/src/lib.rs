//! initiator-sim
