use std::collections::HashMap;

use crate::model::{Span, SpanId};

/// The spans of a trace by their parents. Any list of spans makes a tree: where parents are
/// missing there are several roots, and a cycle is cut open at its earliest span.
///
/// Spans are named by their index in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    roots: Vec<(usize, RootKind)>,
    children: Vec<Vec<usize>>,
}

/// Why a span has no parent in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootKind {
    /// It has none: the trace starts here.
    Start,
    /// Its parent is not here.
    MissingParent {
        /// The span that is not here.
        parent: SpanId,
        /// Whether it can be the caller's own span: not when it is of the same process.
        may_be_elsewhere: bool,
    },
    /// Its ancestors lead back to itself.
    Cycle,
}

/// One span on a walk through the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The span's index.
    pub span: usize,
    /// 0 for a root.
    pub depth: usize,
    /// Whether no sibling follows.
    pub is_last: bool,
    /// The parent's index; `None` for a root.
    pub parent: Option<usize>,
}

impl Tree {
    /// The tree of these spans; children and roots keep the order by start time.
    pub fn of(spans: &[Span]) -> Self {
        let mut index = HashMap::with_capacity(spans.len());
        for (position, span) in spans.iter().enumerate() {
            index.entry(span.span_id).or_insert(position);
        }
        let parents: Vec<Option<usize>> = spans
            .iter()
            .map(|span| span.parent_span_id.and_then(|parent| index.get(&parent).copied()))
            .collect();

        let mut by_start: Vec<usize> = (0..spans.len()).collect();
        by_start.sort_by_key(|span| (spans[*span].start_unix_nano, spans[*span].span_id));
        let mut tree = Self { roots: Vec::new(), children: vec![Vec::new(); spans.len()] };
        for &span in &by_start {
            match (parents[span], spans[span].parent_span_id) {
                (Some(parent), _) => tree.children[parent].push(span),
                (None, None) => tree.roots.push((span, RootKind::Start)),
                (None, Some(parent)) => {
                    let may_be_elsewhere = spans[span].parent_is_remote != Some(false);
                    tree.roots.push((span, RootKind::MissingParent { parent, may_be_elsewhere }));
                }
            }
        }
        tree.cut_cycles(&parents, &by_start);
        tree
    }

    /// The spans without a parent here, by start time; those of cycles come last.
    pub fn roots(&self) -> &[(usize, RootKind)] {
        &self.roots
    }

    /// The children of a span, by start time.
    pub fn children(&self, span: usize) -> &[usize] {
        &self.children[span]
    }

    /// Whether there is one root, and it may well be the trace's own.
    pub fn is_complete(&self) -> bool {
        match self.roots.as_slice() {
            [(_, RootKind::Start)] => true,
            [(_, RootKind::MissingParent { may_be_elsewhere, .. })] => *may_be_elsewhere,
            _ => false,
        }
    }

    /// The span and everything below it, parents before children.
    pub fn walk(&self, root: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut todo = vec![Step { span: root, depth: 0, is_last: true, parent: None }];
        while let Some(step) = todo.pop() {
            steps.push(step);
            for (position, &child) in self.children[step.span].iter().rev().enumerate() {
                todo.push(Step {
                    span: child,
                    depth: step.depth + 1,
                    is_last: position == 0,
                    parent: Some(step.span),
                });
            }
        }
        steps
    }

    /// Makes a root of one span of every cycle, so that each span is below some root.
    fn cut_cycles(&mut self, parents: &[Option<usize>], by_start: &[usize]) {
        let mut rank = vec![0; by_start.len()];
        for (position, &span) in by_start.iter().enumerate() {
            rank[span] = position;
        }
        let mut reached = vec![false; by_start.len()];
        for (root, _) in self.roots.clone() {
            self.mark(root, &mut reached);
        }
        for &span in by_start {
            // Ancestors that no root reaches lead into a cycle; the first one met twice is on it.
            let mut ancestor = Some(span).filter(|span| !reached[*span]);
            while let Some(next) = ancestor.filter(|next| !reached[*next]) {
                reached[next] = true;
                ancestor = parents[next];
            }
            let Some(entry) = ancestor else { continue };
            let around =
                std::iter::successors(parents[entry], |span| parents[*span].filter(|_| *span != entry));
            let root = around.min_by_key(|span| rank[*span]).unwrap_or(entry);
            if let Some(parent) = parents[root] {
                self.children[parent].retain(|child| *child != root);
            }
            self.roots.push((root, RootKind::Cycle));
            self.mark(root, &mut reached);
        }
    }

    fn mark(&self, root: usize, reached: &mut [bool]) {
        for step in self.walk(root) {
            reached[step.span] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sample::span;

    fn roots(spans: &[Span]) -> Vec<(usize, RootKind)> {
        Tree::of(spans).roots().to_vec()
    }

    fn reachable(tree: &Tree) -> Vec<usize> {
        let mut spans: Vec<usize> =
            tree.roots().iter().flat_map(|(root, _)| tree.walk(*root)).map(|step| step.span).collect();
        spans.sort_unstable();
        spans
    }

    #[test]
    fn children_come_by_start_time_whatever_the_order_of_arrival() {
        let spans = [
            span(3, Some(1), "late").at(20, 30),
            span(1, None, "root").at(0, 50),
            span(2, Some(1), "early").at(5, 9),
        ];
        let tree = Tree::of(&spans);
        assert_eq!(tree.roots(), [(1, RootKind::Start)]);
        assert_eq!(tree.children(1), [2, 0]);
        assert!(tree.is_complete());
    }

    #[test]
    fn a_caller_outside_the_trace_leaves_it_complete_but_a_lost_parent_does_not() {
        let mut server = span(2, Some(1), "GET /");
        for (remote, complete) in [(Some(true), true), (None, true), (Some(false), false)] {
            server.parent_is_remote = remote;
            assert_eq!(Tree::of(std::slice::from_ref(&server)).is_complete(), complete, "{remote:?}");
        }
    }

    #[test]
    fn two_roots_are_not_complete() {
        let spans = [span(1, None, "root"), span(3, Some(2), "orphan")];
        let tree = Tree::of(&spans);
        assert!(matches!(tree.roots()[1], (1, RootKind::MissingParent { .. })));
        assert!(!tree.is_complete());
        assert!(!Tree::of(&[]).is_complete());
    }

    #[test]
    fn cycles_are_cut_at_their_earliest_span_and_lose_nothing() {
        // 1 -> 2 -> 3 -> 1, with 4 below 3 and starting first of all.
        let cycle = [
            span(1, Some(3), "a").at(30, 40),
            span(2, Some(1), "b").at(10, 20),
            span(3, Some(2), "c").at(20, 30),
            span(4, Some(3), "d").at(0, 1),
        ];
        let tree = Tree::of(&cycle);
        assert_eq!(tree.roots(), [(1, RootKind::Cycle)]);
        assert_eq!(reachable(&tree), [0, 1, 2, 3]);
        assert!(!tree.is_complete());

        assert_eq!(roots(&[span(1, Some(1), "own parent")]), [(0, RootKind::Cycle)]);
        let beside_a_root = [span(1, None, "root"), span(2, Some(3), "a"), span(3, Some(2), "b")];
        assert_eq!(roots(&beside_a_root).len(), 2);
        assert_eq!(reachable(&Tree::of(&beside_a_root)), [0, 1, 2]);
    }

    #[test]
    fn one_id_used_twice_keeps_both_spans() {
        let tree = Tree::of(&[span(1, None, "root"), span(2, Some(1), "first"), span(2, Some(1), "second")]);
        assert_eq!(reachable(&tree), [0, 1, 2]);
    }

    #[test]
    fn a_chain_as_deep_as_a_trace_can_be_is_walked() {
        let spans: Vec<Span> = (1..=5_000).map(|id| span(id, (id > 1).then(|| id - 1), "s")).collect();
        assert_eq!(Tree::of(&spans).walk(0).last().unwrap().depth, 4_999);
    }
}
