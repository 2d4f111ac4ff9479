use std::collections::{HashMap, VecDeque};

use crate::model::{Buckets, Metric, MetricData, Temporality};

/// A series that appears is shown as if what it counts had happened within this time: it may
/// stand for a process as old as the viewer, whose counter was made by the first thing it counts.
const FIRST_NANO: u64 = 10_000_000_000;

/// What happened to one series between two of its points.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// From when, in nanoseconds since the Unix epoch.
    pub(super) from: u64,
    /// Until when.
    pub(super) to: u64,
    pub(super) amount: Amount,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Amount {
    /// The value at the end.
    Value(f64),
    /// How much was counted.
    Counted(f64),
    /// What was measured.
    Measured { count: f64, bins: Box<[Bin]> },
}

/// Measurements between two values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bin {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) count: f64,
}

/// The samples of all series; where there is no room, the oldest leave, whoever's they are.
#[derive(Debug, Default)]
pub(super) struct History {
    by_series: HashMap<u64, VecDeque<Sample>>,
    /// The series of each sample in the order of arrival, also of series that are gone.
    order: VecDeque<u64>,
    points: usize,
    bytes: usize,
}

impl History {
    pub(super) fn points(&self) -> usize {
        self.points
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn of(&self, series: u64) -> impl Iterator<Item = &Sample> {
        self.by_series.get(&series).into_iter().flatten()
    }

    /// Answers how many samples made room.
    pub(super) fn add(&mut self, series: u64, sample: Sample, limit: usize) -> u64 {
        let samples = self.by_series.entry(series).or_default();
        if let Some(last) = samples.back_mut().filter(|last| last.is_silent() && sample.is_silent()) {
            // Silence takes one place, however long it is.
            last.to = sample.to;
            return 0;
        }
        self.bytes += sample.bytes();
        self.points += 1;
        samples.push_back(sample);
        self.order.push_back(series);
        let mut gone = 0;
        while self.bytes > limit {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= Sample::SLOT;
            let Some(samples) = self.by_series.get_mut(&oldest) else { continue };
            if let Some(sample) = samples.pop_front() {
                self.bytes -= sample.bytes() - Sample::SLOT;
                self.points -= 1;
                gone += 1;
            }
            if samples.is_empty() {
                self.by_series.remove(&oldest);
            }
        }
        gone
    }

    /// Forgets a series. Its places in the order count until they come up.
    pub(super) fn remove(&mut self, series: u64) {
        for sample in self.by_series.remove(&series).unwrap_or_default() {
            self.bytes -= sample.bytes() - Sample::SLOT;
            self.points -= 1;
        }
    }
}

impl Sample {
    /// A place in the order, which grows by doubling.
    const SLOT: usize = 2 * size_of::<u64>();

    /// What a series did up to its point `now`; none where that cannot be told, since the viewer
    /// does not know what was counted before it started.
    pub(super) fn between(before: Option<&Metric>, now: &Metric, viewer_started: u64) -> Option<Self> {
        let to = now.time_unix_nano;
        let before = before.filter(|before| before.time_unix_nano < to);
        let since = |before: &Metric| before.time_unix_nano.max(now.start_unix_nano);
        if let MetricData::Gauge { value } | MetricData::Sum { value, monotonic: false, .. } = &now.data {
            let value = value.as_f64();
            return value.is_finite().then_some(Self { from: to, to, amount: Amount::Value(value) });
        }
        let whole = measured(&now.data)?;
        if temporality(&now.data) == Temporality::Delta {
            let from = match (now.start_unix_nano, before) {
                (0, Some(before)) => before.time_unix_nano,
                (0, None) => to.saturating_sub(FIRST_NANO),
                (start, _) => start,
            };
            return Some(Self { from: from.min(to), to, amount: whole });
        }
        match before {
            Some(before) => {
                let difference = measured(&before.data).and_then(|before| whole.minus(&before));
                // What fell has started anew.
                let amount = difference.unwrap_or(whole);
                Some(Self { from: since(before).min(to), to, amount })
            }
            None if now.start_unix_nano >= viewer_started => {
                let from = now.start_unix_nano.max(to.saturating_sub(FIRST_NANO)).min(to);
                Some(Self { from, to, amount: whole })
            }
            None => None,
        }
    }

    fn is_silent(&self) -> bool {
        match &self.amount {
            Amount::Value(_) => false,
            Amount::Counted(count) | Amount::Measured { count, .. } => *count == 0.0,
        }
    }

    fn bytes(&self) -> usize {
        let bins = match &self.amount {
            Amount::Value(_) | Amount::Counted(_) => 0,
            Amount::Measured { bins, .. } => bins.len() * size_of::<Bin>() + 16,
        };
        // Twice the struct: a growing queue has up to as many places again.
        2 * size_of::<Self>() + bins + Self::SLOT
    }
}

impl Amount {
    /// What came since `before`; none where it cannot be, since something fell.
    fn minus(&self, before: &Self) -> Option<Self> {
        match (self, before) {
            (Self::Counted(now), Self::Counted(before)) if now >= before => Some(Self::Counted(now - before)),
            (Self::Measured { count, bins }, Self::Measured { count: count_before, bins: bins_before })
                if count >= count_before =>
            {
                let before: HashMap<(u64, u64), f64> =
                    bins_before.iter().map(|bin| (bin.key(), bin.count)).collect();
                let left = bins.iter().map(|bin| {
                    let count = bin.count - before.get(&bin.key()).copied().unwrap_or(0.0);
                    Bin { count, ..*bin }
                });
                let bins: Box<[Bin]> = left.filter(|bin| bin.count > 0.0).collect();
                let count = count - count_before;
                // Other bounds than before tell nothing about what came since.
                let known: f64 = bins.iter().map(|bin| bin.count).sum();
                let bins = if known > count { Box::default() } else { bins };
                Some(Self::Measured { count, bins })
            }
            _ => None,
        }
    }
}

impl Bin {
    /// Which bucket it is. The last one of a histogram ends at the largest value so far, so its
    /// beginning alone must tell.
    fn key(&self) -> (u64, u64) {
        (self.low.to_bits(), 0)
    }
}

fn temporality(data: &MetricData) -> Temporality {
    match data {
        MetricData::Sum { temporality, .. }
        | MetricData::Histogram { temporality, .. }
        | MetricData::ExponentialHistogram { temporality, .. } => *temporality,
        MetricData::Gauge { .. } | MetricData::Summary { .. } => Temporality::Cumulative,
    }
}

/// What a point counts from its start; none for values.
fn measured(data: &MetricData) -> Option<Amount> {
    let measured = |count: u64, bins: Vec<Bin>| {
        let bins = bins.into_iter().filter(|bin| bin.count > 0.0).collect();
        Some(Amount::Measured { count: count as f64, bins })
    };
    match data {
        MetricData::Gauge { .. } => None,
        MetricData::Sum { value, .. } => {
            Some(value.as_f64()).filter(|value| value.is_finite()).map(Amount::Counted)
        }
        MetricData::Histogram { count, min, max, bounds, bucket_counts, .. } => {
            measured(*count, explicit_bins(*min, *max, bounds, bucket_counts))
        }
        MetricData::ExponentialHistogram { count, scale, zero_count, positive, negative, .. } => {
            let mut bins = exponential_bins(*scale, positive, 1.0);
            bins.extend(exponential_bins(*scale, negative, -1.0));
            bins.push(Bin { low: 0.0, high: 0.0, count: *zero_count as f64 });
            measured(*count, bins)
        }
        MetricData::Summary { count, .. } => measured(*count, Vec::new()),
    }
}

fn explicit_bins(min: Option<f64>, max: Option<f64>, bounds: &[f64], counts: &[u64]) -> Vec<Bin> {
    let bin = |(index, count): (usize, &u64)| {
        let high = bounds.get(index).copied();
        let low = match index.checked_sub(1).and_then(|before| bounds.get(before)).copied() {
            Some(low) => low,
            // Below the first bound: down to nothing where that is above it, else to the smallest.
            None => high.map_or(0.0, |high| if high > 0.0 { 0.0 } else { min.unwrap_or(high).min(high) }),
        };
        Bin { low, high: high.unwrap_or_else(|| max.unwrap_or(low).max(low)), count: *count as f64 }
    };
    counts.iter().enumerate().map(bin).collect()
}

fn exponential_bins(scale: i32, buckets: &Buckets, sign: f64) -> Vec<Bin> {
    let base = 2_f64.powf(2_f64.powi(-scale.clamp(-20, 20)));
    let bound = |index: i64| sign * base.powf(index as f64);
    let bins = buckets.counts.iter().enumerate().map(|(index, count)| {
        let index = i64::from(buckets.offset) + index as i64;
        let (one, other) = (bound(index), bound(index + 1));
        Bin { low: one.min(other), high: one.max(other), count: *count as f64 }
    });
    bins.filter(|bin| bin.low.is_finite() && bin.high.is_finite()).collect()
}

/// The bins by their upper ends, each once.
pub(super) fn merged(mut bins: Vec<Bin>) -> Vec<Bin> {
    bins.sort_by(|one, other| (one.high.total_cmp(&other.high)).then(one.low.total_cmp(&other.low)));
    bins.dedup_by(|bin, kept| {
        let same = bin.low == kept.low && bin.high == kept.high;
        if same {
            kept.count += bin.count;
        }
        same
    });
    bins
}

/// The value below which a share `quantile` of the measurements lies, guessed as if those of a bin
/// were spread evenly. The bins are [`merged`].
pub(super) fn percentile(bins: &[Bin], quantile: f64) -> Option<f64> {
    let total: f64 = bins.iter().map(|bin| bin.count).sum();
    let wanted = quantile * total;
    let mut below = 0.0;
    for bin in bins.iter().filter(|bin| bin.count > 0.0) {
        if below + bin.count >= wanted {
            return Some(bin.low + (bin.high - bin.low) * ((wanted - below) / bin.count).clamp(0.0, 1.0));
        }
        below += bin.count;
    }
    // Rounding can leave a hair's breadth.
    bins.last().filter(|_| total > 0.0).map(|bin| bin.high)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{counter, histogram};
    use super::*;
    use crate::model::Number;

    fn at(mut metric: Metric, start: u64, time: u64) -> Metric {
        (metric.start_unix_nano, metric.time_unix_nano) = (start, time);
        metric
    }

    fn sum(value: i64, start: u64, time: u64) -> Metric {
        at(counter("orders", "a", value), start, time)
    }

    #[test]
    fn a_counter_tells_what_came_since_the_point_before_and_a_new_start_counts_from_zero() {
        let counted = |before: Option<&Metric>, now: &Metric| Sample::between(before, now, 100);
        let sample = |from, to, count| Some(Sample { from, to, amount: Amount::Counted(count) });
        assert_eq!(counted(Some(&sum(5, 50, 200)), &sum(8, 50, 300)), sample(200, 300, 3.0));
        assert_eq!(counted(Some(&sum(5, 50, 200)), &sum(2, 250, 300)), sample(250, 300, 2.0), "restarted");
        assert_eq!(
            counted(None, &sum(7, 50, 300)),
            None,
            "older than the viewer: nobody saw what it counted"
        );
        assert_eq!(counted(None, &sum(7, 150, 300)), sample(150, 300, 7.0), "younger: all of it is new");
    }

    #[test]
    fn deltas_count_as_they_are_and_levels_are_values() {
        let mut delta = sum(4, 200, 300);
        delta.data =
            MetricData::Sum { value: Number::Int(4), monotonic: true, temporality: Temporality::Delta };
        let before = delta.clone();
        let expected = Sample { from: 200, to: 300, amount: Amount::Counted(4.0) };
        assert_eq!(Sample::between(Some(&at(before, 100, 200)), &delta, 0), Some(expected));
        let mut level = sum(4, 0, 300);
        level.data =
            MetricData::Sum { value: Number::Int(4), monotonic: false, temporality: Temporality::Cumulative };
        assert_eq!(Sample::between(None, &level, 0).unwrap().amount, Amount::Value(4.0));
    }

    #[test]
    fn percentiles_are_of_what_came_since_and_read_within_a_bucket() {
        let before = at(histogram(&[0.1, 0.2], &[100, 0, 0]), 1, 200);
        let now = at(histogram(&[0.1, 0.2], &[100, 10, 0]), 1, 300);
        let Some(Sample { amount: Amount::Measured { count, bins }, .. }) =
            Sample::between(Some(&before), &now, 0)
        else {
            panic!()
        };
        assert_eq!((count, bins.len()), (10.0, 1));
        assert!((percentile(&bins, 0.5).unwrap() - 0.15).abs() < 1e-9);
        assert_eq!(percentile(&bins, 1.0), Some(0.2));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn exponential_buckets_are_bins_by_powers() {
        let data = MetricData::ExponentialHistogram {
            count: 3,
            sum: None,
            min: None,
            max: None,
            scale: 0,
            zero_count: 1,
            positive: Buckets { offset: 1, counts: vec![2] },
            negative: Buckets::default(),
            temporality: Temporality::Cumulative,
        };
        let Some(Amount::Measured { bins, .. }) = measured(&data) else { panic!() };
        assert_eq!(bins[0], Bin { low: 2.0, high: 4.0, count: 2.0 });
        assert_eq!(bins[1], Bin { low: 0.0, high: 0.0, count: 1.0 });
    }

    #[test]
    fn silence_takes_one_place_and_the_oldest_samples_make_room() {
        let mut history = History::default();
        let sample = |time: u64, count: f64| Sample {
            from: time,
            to: time + 1,
            amount: Amount::Measured { count, bins: vec![Bin { low: 0.0, high: 1.0, count }; 4].into() },
        };
        for time in 0..100 {
            history.add(1, sample(time, 0.0), 10_000);
        }
        assert_eq!(history.points(), 1);
        let mut gone = 0;
        for time in 0..200 {
            gone += history.add(time % 20 + 2, sample(time, 1.0), 10_000);
            assert!(history.bytes() <= 10_000);
        }
        assert_eq!(history.points() as u64 + gone, 201);
        // A sender that makes one series after the other leaves nothing behind.
        for series in 100..1_000 {
            history.add(series, sample(1, 1.0), 10_000);
            history.remove(series);
            assert!(history.bytes() <= 10_000 && history.order.len() < 1_000);
        }
    }
}
