// Package sender knows the systems that send webhooks: how their requests are
// verified, how they check that a URL is yours, and what identifies a delivery.
//
// There is a function for each of them, [GitHub], [Stripe], [Slack] and more;
// [StandardWebhooks] and [Svix] are for the many who follow a common scheme. [HMAC]
// describes one that this package has no name for, [APIKey] and [Basic] are for
// those that do not sign, and [New] makes one of functions. All but New take any number of
// secrets and are content with any of them, so a secret is rotated without losing a
// delivery: add the new one here, change it at the sender, remove the old one here.
//
// PayPal is not here. Its signature is made with a certificate whose URL is in the request: to
// verify it, a server would have to fetch what the caller names.
//
// # What is guaranteed
//
//   - Signatures and secrets are compared in constant time, and the hash is SHA-256 or
//     better: a sender's weaker signature is not even looked at. [Twilio], which signs with
//     SHA-1, is the exception.
//   - Where a time is signed, it may differ from now by [DefaultTolerance]
//     or by what [Sender.WithTolerance] says, in both directions: a request from
//     the future is refused like a stale one.
//   - A header that says something twice is refused. Whoever reads it next, to
//     drop repeated deliveries for one, might read the other value.
//   - A delivery ID is taken from what is signed. Where a sender signs none, there is none.
//   - Bad input gives an [*Error], never a panic. No error, and no way of printing a
//     sender, shows a secret, a signature or anything else that a caller chose.
//   - There is no sender without a secret. A function that is given none, or
//     an empty one, as from a variable that is not set, returns an error; so it does
//     for one that is too short to be a secret, or plainly of another kind.
//
// # What is left to the caller
//
// A signature covers the body byte for byte, so the body must be the one that
// was received, before anything parsed it. Within the tolerance a recorded
// request verifies again: drop repeats by [Sender.DeliveryID]. A [Sender.Handshake] is answered
// before anything is looked up. All of it is done for webhooks of workflows that are opened with
// workflow.From.
//
// The package knows nothing of workflows and engines. It takes headers and a
// body, not an *http.Request, so that it also fits requests that were stored.
package sender
