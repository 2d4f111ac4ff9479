use super::layout::Layout;
use crate::model::{SpanId, Trace};
use crate::tree::{RootKind, Tree};

/// A row of the tree.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) content: Content,
    pub(super) depth: usize,
    pub(super) is_last: bool,
    pub(super) has_children: bool,
}

#[derive(Debug)]
pub(super) enum Content {
    /// A root that stands for something missing.
    Note(String),
    /// Indices of a span and its parent.
    Span { span: usize, parent: Option<usize> },
}

/// All rows from top to bottom.
pub(super) fn rows(trace: &Trace, tree: &Tree) -> Vec<Row> {
    let mut rows = Vec::with_capacity(trace.spans.len());
    if let [(root, RootKind::MissingParent { may_be_elsewhere: true, .. })] = tree.roots() {
        add(&mut rows, tree, *root, 0, true);
        return rows;
    }
    let mut missing: Vec<(SpanId, Vec<usize>)> = Vec::new();
    for &(root, kind) in tree.roots() {
        match kind {
            RootKind::Start => add(&mut rows, tree, root, 0, true),
            RootKind::Cycle => {}
            RootKind::MissingParent { parent, .. } => {
                match missing.iter_mut().find(|(id, _)| *id == parent) {
                    Some((_, orphans)) => orphans.push(root),
                    None => missing.push((parent, vec![root])),
                }
            }
        }
    }
    for (parent, orphans) in missing {
        add_below_note(&mut rows, tree, format!("? span {parent} is missing; below it:"), &orphans);
    }
    let cycles = tree.roots().iter().filter(|(_, kind)| *kind == RootKind::Cycle);
    let cycles: Vec<usize> = cycles.map(|(root, _)| *root).collect();
    if !cycles.is_empty() {
        add_below_note(&mut rows, tree, "? a cycle: these spans are their own ancestors".to_owned(), &cycles);
    }
    rows
}

fn add_below_note(rows: &mut Vec<Row>, tree: &Tree, note: String, roots: &[usize]) {
    rows.push(Row { content: Content::Note(note), depth: 0, is_last: true, has_children: true });
    for (position, root) in roots.iter().enumerate() {
        add(rows, tree, *root, 1, position + 1 == roots.len());
    }
}

fn add(rows: &mut Vec<Row>, tree: &Tree, root: usize, depth: usize, is_last: bool) {
    rows.extend(tree.walk(root).into_iter().map(|step| Row {
        content: Content::Span { span: step.span, parent: step.parent },
        depth: depth + step.depth,
        is_last: if step.depth == 0 { is_last } else { step.is_last },
        has_children: !tree.children(step.span).is_empty(),
    }));
}

/// Which branches pass a row on their way to later ones.
#[derive(Debug, Default)]
pub(super) struct Guides {
    /// For each depth from 1 on, whether a sibling follows further down.
    open: Vec<bool>,
}

impl Guides {
    /// To be told of every row, in order.
    pub(super) fn enter(&mut self, row: &Row) {
        self.open.truncate(row.depth.saturating_sub(1));
        if row.depth > 0 {
            self.open.push(!row.is_last);
        }
    }

    /// What is drawn before the row's name.
    pub(super) fn branch(&self, row: &Row, layout: &Layout) -> String {
        let Some((_, outer)) = self.open.split_last() else { return String::new() };
        let mut drawn = self.passing(outer, layout, layout.branch);
        drawn.push_str(match (row.is_last, layout.branch) {
            (true, 3) => "└─ ",
            (false, 3) => "├─ ",
            (true, _) => "└ ",
            (false, _) => "├ ",
        });
        drawn
    }

    /// What is drawn before each of the lines below the row.
    pub(super) fn beside_details(&self, row: &Row, layout: &Layout) -> String {
        let mut drawn = self.passing(&self.open, layout, 0);
        drawn.push_str(if row.has_children { "│ " } else { "  " });
        drawn
    }

    /// The passing branches; where they are too many, the outer ones become an ellipsis.
    fn passing(&self, open: &[bool], layout: &Layout, reserved: usize) -> String {
        let most = (layout.widest_branches().saturating_sub(reserved) / layout.branch).max(1);
        let shown = &open[open.len() - open.len().min(most)..];
        let mut drawn = String::with_capacity(3 * layout.branch * shown.len());
        for (position, open_here) in shown.iter().enumerate() {
            let cut = position == 0 && shown.len() < open.len();
            drawn.push(if cut {
                '…'
            } else if *open_here {
                '│'
            } else {
                ' '
            });
            drawn.extend(std::iter::repeat_n(' ', layout.branch - 1));
        }
        drawn
    }
}
