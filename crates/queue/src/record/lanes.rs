//! Lanes, as records name them.

use crate::document::LaneId;
use crate::limits::LANES_MAX;
use crate::wire::{Malformed, Reader};
use std::ops::Deref;

/// The lanes of a document; most have one, and take no memory for it.
#[derive(Clone, Debug)]
pub(crate) enum Lanes {
    One(LaneId),
    Many(Vec<LaneId>),
}

impl Lanes {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = reader.u8()?;
        if count == 1 {
            return decode_lane_id(reader).map(Self::One);
        }
        (0..count)
            .map(|_| decode_lane_id(reader))
            .collect::<Result<Vec<_>, _>>()
            .map(Self::Many)
    }
}

impl Deref for Lanes {
    type Target = [LaneId];

    fn deref(&self) -> &[LaneId] {
        match self {
            Self::One(lane) => std::slice::from_ref(lane),
            Self::Many(lanes) => lanes,
        }
    }
}

/// The number of a lane, which no queue has so many of: one that lies would have them made.
pub(super) fn decode_lane_id(reader: &mut Reader<'_>) -> Result<LaneId, Malformed> {
    let number = reader.u16()?;
    let is_possible = usize::from(number) < LANES_MAX;
    is_possible.then_some(LaneId(number)).ok_or(Malformed)
}
