//! Bugs that are put in on purpose: a simulation that does not find them proves nothing.

use wharf_store::Planted;

/// A bug that is put in on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Syncs do nothing.
    SkipSync,
    /// Who waits is answered, then the commit is made.
    AnswerBeforeCommit,
    /// A step is answered, and where its delivery stands is not written.
    DropAcknowledgement,
    /// A settle counts whose lease was taken back and given to another.
    IgnoreFence,
    /// A run of ids is written that nothing points to.
    LoseIdRun,
    /// A delivery that is to be tried again later is stored without the time.
    ForgetDue,
    /// The last journal row of a commit is not written.
    DropJournalRow,
    /// Retention removes what has not been kept for long enough.
    PruneTooEarly,
    /// A delivery is superseded, and what stands in for it is not made.
    ForgetReserve,
    /// A status update is applied, and stays in the queue.
    KeepUpdate,
    /// A row that a commit changes is not in its record of the log.
    LoseLogChange,
    /// What is to be tried again does not keep later ones of its key back.
    ForgetOrder,
}

impl Bug {
    pub(crate) const ALL: &'static [Self] = &[
        Self::SkipSync,
        Self::AnswerBeforeCommit,
        Self::DropAcknowledgement,
        Self::IgnoreFence,
        Self::LoseIdRun,
        Self::ForgetDue,
        Self::DropJournalRow,
        Self::PruneTooEarly,
        Self::ForgetReserve,
        Self::KeepUpdate,
        Self::LoseLogChange,
        Self::ForgetOrder,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SkipSync => "skip-sync",
            Self::AnswerBeforeCommit => "answer-before-commit",
            Self::DropAcknowledgement => "drop-acknowledgement",
            Self::IgnoreFence => "ignore-fence",
            Self::LoseIdRun => "lose-id-run",
            Self::ForgetDue => "forget-due",
            Self::DropJournalRow => "drop-journal-row",
            Self::PruneTooEarly => "prune-too-early",
            Self::ForgetReserve => "forget-reserve",
            Self::KeepUpdate => "keep-update",
            Self::LoseLogChange => "lose-log-change",
            Self::ForgetOrder => "forget-order",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|bug| bug.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|bug| bug.name()).collect();
            format!("no bug is called {name:?}: there are {}", names.join(", "))
        })
    }

    /// What the store is told. The disk's own bug is none of the store's.
    pub(crate) fn planted(self) -> Planted {
        match self {
            Self::SkipSync => Planted::None,
            Self::AnswerBeforeCommit => Planted::AnswerBeforeCommit,
            Self::DropAcknowledgement => Planted::DropAcknowledgement,
            Self::IgnoreFence => Planted::IgnoreFence,
            Self::LoseIdRun => Planted::LoseIdRun,
            Self::ForgetDue => Planted::ForgetDue,
            Self::DropJournalRow => Planted::DropJournalRow,
            Self::PruneTooEarly => Planted::PruneTooEarly,
            Self::ForgetReserve => Planted::ForgetReserve,
            Self::KeepUpdate => Planted::KeepUpdate,
            Self::LoseLogChange => Planted::LoseLogChange,
            Self::ForgetOrder => Planted::ForgetOrder,
        }
    }
}
