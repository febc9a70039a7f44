// Package signature verifies signed webhooks: that a request was sent by
// somebody who has the secret, that nobody changed it on the way, and that it
// was signed just now.
//
// There is a verifier for each of the schemes that most senders use,
// [StandardWebhooks], [GitHub], [Stripe] and [Slack], and [Func] makes one of
// a function for all others. A verifier takes any number of secrets and is
// content with any of them, so a secret is rotated without losing a delivery:
// add the new one here, change it at the sender, remove the old one here.
//
// # What a verifier guarantees
//
//   - Signatures are compared in constant time, and the hash is SHA-256 or
//     better: a sender's weaker signature is not even looked at.
//   - Where the scheme signs a time, it may differ from now by [DefaultTolerance]
//     or by what [Timed.WithTolerance] says, in both directions: a request from
//     the future is refused like a stale one.
//   - A header that says something twice is refused. Whoever reads it next, to
//     drop repeated deliveries for one, might read the other value.
//   - Bad input gives an [*Error], never a panic. No error, and no way of printing a
//     verifier, shows a secret, a signature or anything else that a sender chose.
//   - There is no verifier without a secret. A constructor that is given none, or
//     an empty one, as from a variable that is not set, returns an error; so it does
//     for one that is too short to be a secret, or plainly of another kind.
//
// # What is left to the caller
//
// A signature covers the body byte for byte, so the body must be the one that
// was received, before anything parsed it. Within the tolerance a recorded
// request verifies again: drop repeats by an ID that the signature covers.
// Each constructor says which ID that is.
//
// The package knows nothing of workflows and engines. It takes headers and a
// body, not an *http.Request, so that it also fits requests that were stored.
package signature
