//! The answers of a view that all packets are looked at for: conversations, the course of time, streams.

use std::{ops::ControlFlow, time::Instant};

use base64ct::{Base64, Encoding as _};
use capture_packet::decode::Decoded;

use super::{
    capture::Scope,
    conversations::{ConversationOrder, ConversationTable, Conversations},
    indexed::STRIDE,
    request::ViewFault,
    row::rfc3339,
    series::{Course, PacketSeries},
    stream::{Follower, Piece, StreamSide},
    stream_part::{Segment, StreamPart},
    survey::{Kind, Survey, observed},
    viewing::{Among, PATIENCE, SLICE, View},
};

/// Looks that are kept.
const MOST_SURVEYS: usize = 4;

/// Packets of a filter that are looked for together.
const PACKETS_AT_ONCE: u64 = 4096;

/// Most conversations of an answer, and most segments.
const MOST_CONVERSATIONS: u32 = 1000;
const MOST_SEGMENTS: u32 = 1000;

/// Most bytes of segments in an answer.
const MOST_BYTES: usize = 1 << 20;

impl View {
    pub(super) fn conversations(
        &mut self,
        among: Among,
        order: ConversationOrder,
        from: u64,
        limit: u32,
    ) -> Conversations {
        let survey = self.take_survey(
            among,
            |kind| matches!(kind, Kind::Conversations(_)),
            || Kind::Conversations(Box::default()),
        );
        let (survey, complete) = self.go_on_with(among, survey);
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let limit = limit.min(MOST_CONVERSATIONS) as usize;
        let page = match &survey.kind {
            Kind::Conversations(table) => table.page(order, from, limit),
            _ => ConversationTable::default().page(order, from, limit),
        };
        let page = Conversations {
            searched: self.searched(among, &survey),
            complete,
            ..page
        };
        self.surveys.push(survey);
        page
    }

    pub(super) fn series(
        &mut self,
        among: Among,
        buckets: u32,
        wanted: (Option<u64>, Option<u64>),
    ) -> PacketSeries {
        let is_same = |kind: &Kind| matches!(kind, Kind::Course { span, .. } if *span == wanted);
        let survey = self.take_survey(among, is_same, || Kind::Course {
            span: wanted,
            course: Course::of(wanted.0, wanted.1),
        });
        let (survey, complete) = self.go_on_with(among, survey);
        let buckets = usize::try_from(buckets).unwrap_or(usize::MAX);
        let series = match &survey.kind {
            Kind::Course { course, .. } => course.buckets(buckets),
            _ => Course::of(None, None).buckets(buckets),
        };
        let series = PacketSeries {
            searched: self.searched(among, &survey),
            complete,
            ..series
        };
        self.surveys.push(survey);
        series
    }

    pub(super) fn stream(
        &mut self,
        scope: Scope,
        number: u64,
        side: Option<StreamSide>,
        from: u64,
        limit: u32,
    ) -> Result<StreamPart, ViewFault> {
        let among = Among {
            scope,
            is_filtered: false,
        };
        let new = self.follower(scope, number)?;
        let is_same = |kind: &Kind| matches!(kind, Kind::Stream(there) if there.is_of(&new));
        let survey = self.take_survey(among, is_same, || Kind::Stream(Box::new(new.clone())));
        let (mut survey, complete) = self.go_on_with(among, survey);
        let is_growing = self.capture.is_growing();
        let part = match &mut survey.kind {
            Kind::Stream(follower) => {
                if complete && !is_growing {
                    follower.finish();
                }
                self.stream_part(scope, follower, side, from, limit)
            }
            _ => return Err(ViewFault::NoStream),
        };
        let part = StreamPart {
            searched: survey.taken,
            complete,
            growing: is_growing && !survey.is_over(),
            ..part
        };
        self.surveys.push(survey);
        Ok(part)
    }

    /// A follower of the stream that a packet is of.
    fn follower(&mut self, scope: Scope, number: u64) -> Result<Follower, ViewFault> {
        let mut found = None;
        self.with_packet(scope, number, |_, shown| {
            let frame = &shown.frame;
            let headers = Decoded::new(frame.link_type, frame.data, frame.wire_len);
            found = Follower::of(&observed(shown, 0, &headers));
        })?;
        found.ok_or(ViewFault::NoStream)
    }

    fn stream_part(
        &self,
        scope: Scope,
        follower: &Follower,
        side: Option<StreamSide>,
        from: u64,
        limit: u32,
    ) -> StreamPart {
        let of_side = |piece: &&Piece| side.is_none_or(|side| piece.from == side);
        let mut pieces = follower.pieces().iter().filter(of_side);
        let skip = usize::try_from(from).unwrap_or(usize::MAX);
        let mut chosen = Vec::new();
        let mut bytes = 0;
        let mut next = None;
        if skip > 0 {
            pieces.nth(skip - 1);
        }
        for piece in pieces {
            let is_full = chosen.len() >= limit.min(MOST_SEGMENTS) as usize;
            if is_full || (bytes + piece.len as usize > MOST_BYTES && !chosen.is_empty()) {
                next = Some(from + chosen.len() as u64);
                break;
            }
            bytes += piece.len as usize;
            chosen.push(*piece);
        }
        let data = self.payloads(scope, &chosen);
        let segments = chosen.iter().zip(data).map(|(piece, data)| Segment {
            side: piece.from,
            number: piece.number,
            time: rfc3339(piece.ns).unwrap_or_default(),
            offset: piece.offset,
            data: Base64::encode_string(&data),
            gap: piece.gap,
        });
        let segments = segments.collect();
        let [client, server] = [follower.client(), follower.server()];
        let end = |end: capture_detect::flow::End| match end.address.is_v4() {
            true => format!("{}:{}", end.address, end.port),
            false => format!("[{}]:{}", end.address, end.port),
        };
        StreamPart {
            protocol: follower.protocol().to_owned(),
            client: end(client),
            server: end(server),
            bytes: follower.bytes().into(),
            segments,
            next,
            cut: follower.is_cut(),
            searched: 0,
            complete: false,
            growing: false,
        }
    }

    /// The bytes of pieces, read again. What cannot be read any more is empty.
    fn payloads(&self, scope: Scope, pieces: &[Piece]) -> Vec<Vec<u8>> {
        let mut data = vec![Vec::new(); pieces.len()];
        let mut order: Vec<usize> = (0..pieces.len()).collect();
        order.sort_by_key(|place| pieces[*place].position);
        let mut rest = order.as_slice();
        while let Some(first) = rest.first() {
            let start = pieces[*first].position;
            let near = rest.partition_point(|place| pieces[*place].position - start < STRIDE);
            let (together, later) = rest.split_at(near);
            rest = later;
            let last = together.last().map_or(start, |last| pieces[*last].position);
            let mut wanted = together.iter().peekable();
            let _ = self.capture.each(scope, start..last + 1, |shown| {
                // A packet may have closed a hole, and so be in several pieces.
                while let Some(place) =
                    wanted.next_if(|place| pieces[**place].position <= shown.position)
                {
                    let piece = &pieces[*place];
                    if piece.position != shown.position {
                        continue;
                    }
                    let frame = &shown.frame;
                    let headers = Decoded::new(frame.link_type, frame.data, frame.wire_len);
                    let begin = piece.skip as usize;
                    let end = begin + piece.len as usize;
                    let bytes = headers.payload.get(begin..end);
                    data[*place] = bytes.unwrap_or_default().to_vec();
                }
                ControlFlow::Continue(())
            });
        }
        data
    }

    /// The look that this is about, or a new one. It is out of the list until it is pushed back.
    fn take_survey(
        &mut self,
        among: Among,
        is_same: impl Fn(&Kind) -> bool,
        new: impl FnOnce() -> Kind,
    ) -> Survey {
        let filter = self.filter_text(among).to_owned();
        let known = self.surveys.iter().position(|survey| {
            survey.scope == among.scope && survey.filter == filter && is_same(&survey.kind)
        });
        match known {
            Some(place) => self.surveys.remove(place),
            None => {
                if self.surveys.len() >= MOST_SURVEYS {
                    self.surveys.remove(0);
                }
                Survey::new(among.scope, &filter, new())
            }
        }
    }

    /// Goes on with a look for as long as a question may wait. Says whether it has seen everything.
    fn go_on_with(&mut self, among: Among, mut survey: Survey) -> (Survey, bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let slice = deadline.min(Instant::now() + SLICE);
            self.read_and_search(among, slice);
            self.survey(among, &mut survey, deadline.min(Instant::now() + SLICE * 4));
            let has_all = survey.taken >= self.count(among) && self.is_complete(among);
            let complete = has_all || survey.is_over();
            if complete || Instant::now() >= deadline {
                return (survey, complete);
            }
        }
    }

    /// Goes on with the look that was asked for last, if its filter was too. False where there is nothing to do.
    pub(super) fn survey_on(&mut self, deadline: Instant) -> bool {
        let Some(mut survey) = self.surveys.pop() else {
            return false;
        };
        let among = Among {
            scope: survey.scope,
            is_filtered: !survey.filter.is_empty(),
        };
        let is_chosen = self.filter_text(among) == survey.filter;
        let has_more = is_chosen && !survey.is_over() && survey.taken < self.count(among);
        if has_more {
            self.survey(among, &mut survey, deadline);
        }
        self.surveys.push(survey);
        has_more
    }

    fn survey(&self, among: Among, survey: &mut Survey, deadline: Instant) {
        let mut has_time = true;
        while has_time && !survey.is_over() {
            let left = self.count(among).saturating_sub(survey.taken);
            let before = survey.taken;
            let at_once = match among.is_filtered {
                true => left.min(PACKETS_AT_ONCE),
                false => left,
            };
            self.each(among, before, at_once, |shown| {
                has_time = survey.take(shown, deadline);
                has_time && !survey.is_over()
            });
            if survey.taken == before {
                return;
            }
        }
    }

    /// Packets that were looked at, those included that do not pass.
    fn searched(&self, among: Among, survey: &Survey) -> u64 {
        match self.filter_of(among) {
            Some(passing) if survey.taken >= passing.matched => passing.searched,
            Some(passing) => passing.starting_at(survey.taken).next().unwrap_or(0),
            None => survey.taken,
        }
    }
}
