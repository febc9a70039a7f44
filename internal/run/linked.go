package run

import (
	"context"
	"encoding/json"
)

// Functions that packages of this module call, and users should not: so they are not exported by
// the package that has them, which sets them here when it is initialized.
var (
	// Definition returns what is behind a workflow.Definition. It fails for a workflow that is nil
	// or only declared.
	Definition func(definition any) (*Workflow, error)
	// Defined makes a workflow.Definition.
	Defined func(*Workflow) any
	// HookDefinition returns what is behind a workflow.HookDefinition.
	HookDefinition func(definition any) HookType

	// StartRequest returns the workflow.StartRequest for a *workflow.Workflow and an input of its type.
	StartRequest func(w, in any) (any, error)
	// NewWebhook returns the webhook that options of the type []workflow.WebhookOption describe.
	NewWebhook func(options any) (Hook, error)

	// EncodeError returns the recorded form of an error.
	EncodeError func(error) json.RawMessage
	// DecodeError is the inverse of EncodeError: the error has the same text, and is the same to
	// errors.Is for errors of workflow.DefineError and to errors.As for those of package workflow.
	DecodeError func(json.RawMessage) error

	// MaxPayload returns the limit of a client that is an engine, else 0.
	MaxPayload func(client any) int
	// AnswerURL returns the URL that a client, which is an engine with keys, makes for a link.
	AnswerURL func(ctx context.Context, client any, linkID string) (string, error)
)
