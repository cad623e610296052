//! The view: takes files, answers questions, and goes on with what is not finished between them.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use capture_packet::fields::{self, known};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{
    MOST_COLUMNS, MOST_ROWS,
    answer::{Position, Rows},
    capture::{Capture, Scope, Shown},
    checked::parsed,
    detail::Detail,
    ends::Ends,
    note::ViewNote,
    passing::Passing,
    request::{Question, ViewFault, ViewRequest},
    row::{Row, rfc3339},
    survey::Survey,
};

/// How long a question may wait for what it asks of, and how long one whose packets are there already may be held up
/// by those that came since.
pub(super) const PATIENCE: Duration = Duration::from_millis(200);
const GLANCE: Duration = Duration::from_millis(20);

/// How long it goes on before it looks whether there is a question.
pub(super) const SLICE: Duration = Duration::from_millis(10);

/// How long the neighbours of a packet in its conversation are searched for, on each side, and among how many packets.
const NEIGHBOUR_TIME: Duration = Duration::from_millis(40);
const NEIGHBOUR_PACKETS: u64 = 50_000;
/// Packets before one that are looked through at once.
const NEIGHBOUR_STEP: u64 = 1024;

/// Filters whose results are kept.
const MOST_FILTERS: usize = 4;

/// Most notes about packets.
const MOST_NOTES: usize = 10_000;

/// Most bytes of rows in an answer, about.
const MOST_BYTES: usize = 2 << 20;

/// The packets of a task.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) capture: Capture,
    /// The one asked for last is the last.
    passing: Vec<Passing>,
    /// Looks at all packets; the one asked for last is the last.
    pub(super) surveys: Vec<Survey>,
    /// What was noted about packets, by their numbers in the capture.
    pub(super) notes: BTreeMap<u64, ViewNote>,
    /// Whether the files have more to read, as far as is known.
    is_behind: bool,
}

/// The packets that a question is about: those of a scope that pass a filter.
#[derive(Clone, Copy)]
pub(super) struct Among {
    pub(super) scope: Scope,
    /// Whether the last filter of the view chooses from them.
    pub(super) is_filtered: bool,
}

impl View {
    /// Takes a file of the task, behind those that it has.
    pub(crate) fn add(&mut self, index: u64, file: File, is_growing: bool) -> io::Result<()> {
        self.is_behind = true;
        self.capture.add(index, file, is_growing)
    }

    /// The last file is complete.
    pub(crate) fn complete(&mut self) {
        self.is_behind = true;
        self.capture.complete();
    }

    /// Takes notes in the place of earlier ones; one that says nothing is none.
    pub(crate) fn note(&mut self, notes: Vec<ViewNote>) {
        for note in notes {
            match note.marked || note.comment.is_some() {
                true if self.notes.len() < MOST_NOTES => self.notes.insert(note.number, note),
                _ => self.notes.remove(&note.number),
            };
        }
    }

    /// Goes on for a moment with what was not finished; false where there is nothing to do.
    pub(crate) fn go_on(&mut self) -> bool {
        let deadline = Instant::now() + SLICE;
        if self.is_behind {
            self.is_behind = self.capture.read_on(deadline);
            return true;
        }
        match self.passing.last_mut() {
            Some(passing) if !passing.is_done(&self.capture) => {
                passing.search(&self.capture, u64::MAX, deadline);
                true
            }
            _ => self.survey_on(deadline),
        }
    }

    /// Answers a question.
    pub(crate) fn answer(&mut self, request: ViewRequest) -> Result<Box<RawValue>, ViewFault> {
        let ViewRequest {
            file,
            filter,
            question,
        } = request;
        if !self.capture.has(file) {
            return Err(ViewFault::NoFile);
        }
        let among = self.choose(file, filter)?;
        match question {
            Question::Rows {
                from,
                limit,
                columns,
            } => json(&self.rows(among, from, limit.min(MOST_ROWS), &columns)?),
            Question::PositionOfNumber(number) => json(&self.position(among, |capture| {
                capture.position_of_number(among.scope, number)
            })),
            Question::PositionOfTime(ns) => {
                json(&self.position(among, |capture| capture.position_of_time(among.scope, ns)))
            }
            Question::Packet(number) => json(&self.detail(among.scope, number)?),
            Question::Context(number) => json(&self.context(among.scope, number)?),
            Question::Stream {
                number,
                side,
                from,
                limit,
            } => json(&self.stream(among.scope, number, side, from, limit)?),
            Question::Conversations { order, from, limit } => {
                json(&self.conversations(among, order, from, limit))
            }
            Question::Series {
                buckets,
                from_ns,
                until_ns,
            } => json(&self.series(among, buckets, (from_ns, until_ns))),
            Question::Export {
                state,
                from_number,
                until_number,
            } => json(&self.export(among, state, (from_number, until_number))?),
        }
    }

    /// Makes a filter the one asked for last.
    fn choose(&mut self, scope: Scope, text: String) -> Result<Among, ViewFault> {
        let known = self
            .passing
            .iter()
            .position(|passing| passing.scope == scope && passing.text == text);
        let passing = match known {
            Some(place) => self.passing.remove(place),
            None => {
                let Some(filter) = parsed(&text)? else {
                    return Ok(Among {
                        scope,
                        is_filtered: false,
                    });
                };
                Passing::new(text, scope, filter)
            }
        };
        if self.passing.len() >= MOST_FILTERS {
            self.passing.remove(0);
        }
        self.passing.push(passing);
        Ok(Among {
            scope,
            is_filtered: true,
        })
    }

    /// Reads and searches until so many packets are there, or there is no more time.
    fn await_packets(&mut self, among: Among, enough: Option<u64>) {
        let now = Instant::now();
        let is_enough = enough.is_some_and(|enough| self.count(among) >= enough);
        let deadline = now + if is_enough { GLANCE } else { PATIENCE };
        // In turns, so that the first rows that pass need not wait for the whole index.
        loop {
            let slice = deadline.min(Instant::now() + SLICE);
            self.is_behind = self.capture.read_on(slice);
            if among.is_filtered
                && let Some(passing) = self.passing.last_mut()
            {
                let until = match self.is_behind {
                    true => deadline.min(Instant::now() + SLICE),
                    false => deadline,
                };
                passing.search(&self.capture, enough.unwrap_or(u64::MAX), until);
            }
            let is_enough = enough.is_some_and(|enough| self.count(among) >= enough);
            if is_enough || self.is_complete(among) || Instant::now() >= deadline {
                return;
            }
        }
    }

    /// Reads and searches, each until it must come to an end.
    pub(super) fn read_and_search(&mut self, among: Among, deadline: Instant) {
        self.is_behind = self.capture.read_on(deadline);
        if among.is_filtered
            && let Some(passing) = self.passing.last_mut()
        {
            passing.search(
                &self.capture,
                u64::MAX,
                deadline.max(Instant::now() + SLICE),
            );
        }
    }

    /// The filter that chooses; empty where all are chosen.
    pub(super) fn filter_text(&self, among: Among) -> &str {
        self.filter_of(among).map_or("", |passing| &passing.text)
    }

    /// Packets that pass, as far as is known.
    pub(super) fn count(&self, among: Among) -> u64 {
        match self.filter_of(among) {
            Some(passing) => passing.matched,
            None => {
                let extent = self.capture.extent(among.scope);
                extent.end - extent.start
            }
        }
    }

    pub(super) fn filter_of(&self, among: Among) -> Option<&Passing> {
        self.passing.last().filter(|_| among.is_filtered)
    }

    pub(super) fn is_complete(&self, among: Among) -> bool {
        let is_searched = self
            .filter_of(among)
            .is_none_or(|passing| passing.is_done(&self.capture));
        !self.is_behind && is_searched
    }

    fn rows(
        &mut self,
        among: Among,
        from: i64,
        limit: u32,
        columns: &[String],
    ) -> Result<Rows, ViewFault> {
        let columns = columns.iter().take(MOST_COLUMNS);
        let columns = columns.map(|name| {
            let known = known::find(name);
            known.ok_or_else(|| ViewFault::Column(name.clone()))
        });
        let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
        let enough = u64::try_from(from).ok();
        self.await_packets(among, enough.map(|from| from.saturating_add(limit.into())));
        let count = self.count(among);
        let from = match enough {
            Some(from) => from.min(count),
            None => count.saturating_sub(from.unsigned_abs()),
        };
        let mut rows = Rows {
            complete: self.is_complete(among),
            growing: self.capture.is_growing(),
            from,
            damage: self.capture.damage(),
            ..self.extent(among)
        };
        let mut weight = 0;
        self.each(among, from, limit.into(), |shown| {
            let layers = fields::fields(shown.frame.link_type, shown.frame.data);
            let stream = self.capture.stream(shown);
            let mut row = Row::of(shown, &layers, &columns, stream);
            row.note(self.notes.get(&shown.number_of_all));
            weight += row.weight();
            rows.rows.push(row);
            weight < MOST_BYTES
        });
        Ok(rows)
    }

    /// What there is, without rows.
    fn extent(&self, among: Among) -> Rows {
        let extent = self.capture.extent(among.scope);
        let packets = extent.end - extent.start;
        let (matched, searched) = match self.filter_of(among) {
            Some(passing) => (passing.matched, passing.searched),
            None => (packets, packets),
        };
        let times = self.capture.times(among.scope);
        Rows {
            packets,
            matched,
            searched,
            complete: false,
            growing: false,
            from: 0,
            first_time: times.and_then(|(first, _)| rfc3339(first)),
            last_time: times.and_then(|(_, last)| rfc3339(last)),
            damage: None,
            rows: Vec::new(),
        }
    }

    /// Lends at most so many packets that pass, from the `from`th on, while this gives true.
    pub(super) fn each(
        &self,
        among: Among,
        from: u64,
        limit: u64,
        mut take: impl FnMut(&Shown<'_>) -> bool,
    ) {
        let start = self.capture.extent(among.scope).start;
        let mut take = |shown: &Shown<'_>| match take(shown) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        };
        let Some(passing) = self.filter_of(among) else {
            let from = start + from;
            let range = from..from.saturating_add(limit);
            let _ = self.capture.each(among.scope, range, take);
            return;
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let positions = passing.starting_at(from).take(limit);
        let positions: Vec<_> = positions.map(|position| start + position).collect();
        self.each_at(among.scope, &positions, |shown| take(shown).is_continue());
    }

    /// Lends the packets at these positions, which are in order, while this gives true.
    pub(super) fn each_at(
        &self,
        scope: Scope,
        positions: &[u64],
        mut take: impl FnMut(&Shown<'_>) -> bool,
    ) {
        // Neighbours are read together.
        let mut rest = positions;
        while let Some(first) = rest.first() {
            let near = rest.partition_point(|position| position - first < super::indexed::STRIDE);
            let (together, later) = rest.split_at(near);
            rest = later;
            let last = together.last().unwrap_or(first);
            let flow = self.capture.each(scope, *first..last + 1, |shown| {
                match together.binary_search(&shown.position) {
                    Ok(_) if !take(shown) => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            });
            if flow.is_break() {
                return;
            }
        }
    }

    fn position(&mut self, among: Among, find: impl Fn(&Capture) -> u64) -> Position {
        let deadline = Instant::now() + PATIENCE;
        let scope = among.scope;
        let mut is_known;
        let mut position;
        loop {
            self.is_behind = self.capture.read_on(deadline);
            position = find(&self.capture);
            let extent = self.capture.extent(scope);
            is_known = position < extent.end || !self.is_behind;
            position = position.saturating_sub(extent.start);
            if is_known || Instant::now() >= deadline {
                break;
            }
        }
        if among.is_filtered
            && let Some(passing) = self.passing.last_mut()
        {
            while passing.searched <= position
                && !passing.is_done(&self.capture)
                && Instant::now() < deadline
            {
                let enough = passing.matched + 1;
                passing.search(&self.capture, enough, deadline);
            }
            is_known &= passing.searched > position || passing.is_done(&self.capture);
            position = passing.rank(position);
        }
        Position {
            position,
            complete: is_known,
        }
    }

    /// Lends the packet with a number.
    pub(super) fn with_packet(
        &mut self,
        scope: Scope,
        number: u64,
        take: impl FnOnce(&Capture, &Shown<'_>),
    ) -> Result<(), ViewFault> {
        let all = Among {
            scope,
            is_filtered: false,
        };
        let Position { position, .. } =
            self.position(all, |capture| capture.position_of_number(scope, number));
        let mut take = Some(take);
        self.each(all, position, 1, |shown| {
            if shown.frame.number == number
                && let Some(take) = take.take()
            {
                take(&self.capture, shown);
            }
            false
        });
        match take {
            None => Ok(()),
            Some(_) => Err(ViewFault::NoPacket),
        }
    }

    /// All of the packet with a number.
    fn detail(&mut self, scope: Scope, number: u64) -> Result<Detail, ViewFault> {
        let mut found = None;
        self.with_packet(scope, number, |capture, shown| {
            let layers = fields::fields(shown.frame.link_type, shown.frame.data);
            let detail = Detail::of(shown, &layers, capture.stream(shown));
            let place = (shown.position, shown.number_of_all);
            found = Some((detail, Ends::of(&shown.frame), place));
        })?;
        let (mut detail, ends, (position, number)) = found.ok_or(ViewFault::NoPacket)?;
        detail.row.note(self.notes.get(&number));
        if let Some(ends) = ends {
            detail.previous_in_stream = self.neighbour_before(scope, position, &ends);
            detail.next_in_stream = self.neighbour_behind(scope, position, &ends);
        }
        Ok(detail)
    }

    fn neighbour_behind(&self, scope: Scope, position: u64, ends: &Ends) -> Option<u64> {
        let deadline = Instant::now() + NEIGHBOUR_TIME;
        let end = self.capture.extent(scope).end;
        let end = end.min(position.saturating_add(NEIGHBOUR_PACKETS));
        let mut number = None;
        let _ = self.capture.each(scope, position + 1..end, |shown| {
            if Ends::of(&shown.frame).as_ref() == Some(ends) {
                number = Some(shown.frame.number);
                return ControlFlow::Break(());
            }
            match shown.position.is_multiple_of(256) && Instant::now() >= deadline {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        number
    }

    fn neighbour_before(&self, scope: Scope, position: u64, ends: &Ends) -> Option<u64> {
        let deadline = Instant::now() + NEIGHBOUR_TIME;
        let start = self.capture.extent(scope).start;
        let start = start.max(position.saturating_sub(NEIGHBOUR_PACKETS));
        let mut until = position;
        while until > start && Instant::now() < deadline {
            // From mark to mark, as reading begins at one.
            let from = ((until - 1) / NEIGHBOUR_STEP * NEIGHBOUR_STEP).max(start);
            let mut number = None;
            let _ = self.capture.each(scope, from..until, |shown| {
                if Ends::of(&shown.frame).as_ref() == Some(ends) {
                    number = Some(shown.frame.number);
                }
                ControlFlow::Continue(())
            });
            if number.is_some() {
                return number;
            }
            until = from;
        }
        None
    }
}

fn json(answer: &impl Serialize) -> Result<Box<RawValue>, ViewFault> {
    // Nothing in it can fail to be JSON.
    Ok(to_raw_value(answer).unwrap_or_else(|_| RawValue::NULL.to_owned()))
}
