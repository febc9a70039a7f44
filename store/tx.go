package store

import "context"

// Tx is an open transaction of the application on the database that a store is in.
// The package of the store makes it from what its driver has.
type Tx interface {
	// StoreTx marks it, and does nothing.
	StoreTx()
}

// Joiner is a store whose operations can be part of transactions of the application.
type Joiner interface {
	// Within returns the operations as parts of tx. It fails if tx is not one of this
	// store's package and database.
	Within(tx Tx) (Joined, error)
}

// Joined are operations within a transaction of the application: what they write is
// there when that commits, and so are the signals; rolled back, nothing has happened.
// One that returns a sentinel has written nothing and has done the transaction no
// harm; after any other error the application has to roll back. They are no more safe
// for concurrent use than the transaction is.
type Joined interface {
	Client

	// Hook and Run look at what the transaction sees, as those of Reader do.
	Hook(ctx context.Context, token string) (Hook, error)
	Run(ctx context.Context, runID string) (Run, error)

	// ClaimStep makes the transaction the one that executes a transactional step. It
	// waits for any other that has claimed the step to end. ErrExists if one has
	// completed it, whatever has become of its message, ErrConflict if one was
	// committed that had claimed and not completed it, ErrFenced if the run has
	// another epoch or has ended, ErrNotFound if there is no such run.
	ClaimStep(ctx context.Context, s TxStep) error

	// CompleteStep puts the result of the step that was claimed into the mailbox of
	// its run, as a StepCompleted message, and returns that. Errors as of ClaimStep;
	// ErrConflict if the transaction has not claimed the step.
	CompleteStep(ctx context.Context, s TxStep, result []byte) (Message, error)
}

// TxStep names a transactional step, and who executes it.
type TxStep struct {
	RunID string
	Step  string
	Epoch int64 // of the run, when the attempt began
}
