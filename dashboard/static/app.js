// What the dashboard does beyond what it does without JavaScript: each module adds one
// thing to pages that are whole already.
import "./times.js";
import "./theme.js";
import "./live.js";
import "./dialog.js";
import "./forms.js";
import "./journal.js";
import "./keys.js";
