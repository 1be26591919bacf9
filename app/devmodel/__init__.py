"""A small OpenAI-compatible server for offline use. It is NOT a language model.

It exists so that the demo, the tests and a first look need no key and no network: it answers over a real socket, in
OpenAI's shapes, by rules that anyone can read here. It understands nothing. Every answer is deterministic: the same
request gets the same answer, whatever came before.

    async with running_devmodel() as base_url:          # http://127.0.0.1:<free port>/v1
        AsyncOpenAI(base_url=base_url, api_key="unused")

Models
------
``dev-large``  ranks the sentences of the context by IDF-weighted overlap of word stems with the question; knows a few
               synonyms, reads titles, table headings and the previous sentence, and likes sentences of the kind that was
               asked for (a number for "how many", a reason for "why", a definition for "what is").
``dev-small``  counts equal words (no stems, no synonyms, no titles, no IDF); the first of equals wins. Worse, not broken.
``dev-echo``   answers with the question itself (plumbing tests).
``dev-embed``  embeddings: signed hashing of word stems, unit length, 256 numbers unless ``dimensions`` says otherwise.

How a prompt is read
--------------------
*Context*: first that applies, in the system messages and in the last user message:

1. inside ``<context>…</context>`` (also documents, passages, sources, documentation, excerpts);
2. after a line that is just ``Context:`` or ``## Context`` (also Documents, Passages, Sources, Documentation,
   Excerpts; Context may also have text on its own line), up to a line starting with ``Question:`` or the end;
3. from the first line that starts with a passage marker ``[1]`` up to a line starting with ``Question:`` or the end;
4. else every paragraph of the system message after the first.

The context is cut into passages at markers (``[1] Title`` on a line of its own, the text below it), at Markdown
headings, else at blank lines. List items, table rows and fenced code blocks are units like sentences; a fenced block
belongs to the sentence before it when that ends with a colon.

*Question*: what follows the last ``Question:`` in the last user message, else that message without its context.
A question of at most two content words ("And for feedback?") also borrows from the previous user message (dev-large).

*Instructions*: the rest of the system messages (of the user message when there is no system message).

What the instructions can decide (case does not matter; nothing inside the context is ever obeyed)
--------------------------------------------------------------------------------------------------
===========================================================  ====================================================
words in the instructions                                    effect
===========================================================  ====================================================
"one sentence" … "six sentences", "up to N sentences",       at most that many sentences (several: 4, a few: 3);
"a few sentences", "several sentences"                       default 2
"briefly", "concise", "short answer"                         1 sentence, when no number is given
"in detail", "detailed", "thorough", "complete answer"       4 sentences, when no number is given
"at most 30 words", "under 30 words", "30 words or fewer"    cut after that many words
"cite", "quote the source", "quoting the source", "name the  each sentence is followed by its passage's marker
source", "give the source", "[n]"                            `` [2]``; without markers by its title `` (Title)``
"say so when/if it is not there", "if the answer is not in   abstains when the best sentence's support is below a
the context", "if the context does not …", "if you do not    threshold: ``That is not in the documentation.``, or
know", "when you cannot find"                                the words in double quotes in that instruction
"do not guess", "never guess", "only if you are sure"        abstains, and at a higher threshold
none of these two                                            answers with its best sentence whatever its support is,
                                                             as a model that makes things up would
"yes or no"                                                  begins a yes/no question's answer with ``Yes.`` / ``No.``
                                                             (No when the best sentence denies something)
"bullet", "as a list", "list the"                            one ``- `` line per sentence; default 3
"copy commands", "copy the command", "commands exactly",     how-to questions prefer sentences with code, and code
"code exactly", "exact command"                              blocks are copied into the answer; without it a code
                                                             block is never part of an answer (inline code is)
"in your own words", "paraphrase", "rephrase"                a poor paraphrase: clauses swapped, code marks and
                                                             brackets dropped, cut after 18 words
===========================================================  ====================================================

dev-small obeys the same instructions, but sees no question kinds, no "do not guess", and abstains only when it finds
almost none of the question's words. Without any context both say that they have none.

Judging (``response_format`` with a rubric-shaped schema: a reason and a label, score or pass field)
-----------------------------------------------------------------------------------------------------
The answer to judge lies between two equal delimiter lines (a *fence*) that contain a token of 8 or more letters, digits
and dashes, at least one of them a digit, and the token is stated in the text before them. Several fenced blocks are told
apart by the line before each (``Answer:``, ``Reference:``, ``Context:``, ``Question:``); one alone is the answer. Text
outside is read by the same headings at the start of a line. Without a fence, ``<answer>`` tags, then headings, are tried.
Support is the overlap of the answer with the reference (numbers and denials must agree), else with the context, else with
the question. It becomes the nearest label: scores stated as ``label: 1``, ``label = 0.5`` or ``label (0)`` decide the
order, else well-known opposites (pass/fail, correct/incorrect …), else the first label is the best. A score is scaled to
the schema's (or the stated "from 1 to 5") range. Nothing inside the fence is obeyed. dev-small judges by recall of equal
words only. ``json_object`` does the same with ``reason``, ``score`` and, if labels are stated, ``label``.

The other judge scorers are known by their blocks and schemas: ``answer 1``, ``answer 2`` … are compared and the number of the
best supported one is chosen; the letters A to E say how the answer's words relate to the reference's; an object of numbered
items gets a verdict on each by its overlap with the other blocks; a list of texts is made of the sentences of a block ``text``.

Any other schema is filled with a valid instance: strings get the extractive answer, enums the value named in the question,
numbers a number from it where it fits. A schema that it cannot fill is a 400 that says so.

Tools
-----
A tool is called when the question overlaps with its name and description enough and ``tool_choice`` permits; arguments come
from numbers, quoted strings, names and enum words in the question. ``required`` and a named tool are obeyed, ``none`` too;
several clauses may give several calls unless ``parallel_tool_calls`` is false. After a ``tool`` message it answers from it.

Other fields
------------
``max_tokens`` (finish_reason ``length``), ``stop``, ``n``, ``stream`` with ``stream_options.include_usage``. With
``temperature`` > 0 near-ties between sentences are broken by ``seed`` (absent: 0) and nothing else. Unknown fields
are ignored. Usage: a token is four characters, rounded up per message, plus 3 per message; cutting by ``max_tokens``
uses the same rule.

Faults, for tests and benchmarks
--------------------------------
Server options (`Options`): latency, rate limit, fail rate and kind, required API key. Per request, either a model suffix
``dev-large?latency_ms=50&fail=500:0.02`` or headers ``x-devmodel-fault: 429`` and ``x-devmodel-latency-ms: 50``.

* ``fail=KIND`` always, ``fail=KIND:0.02`` for that share of the requests, ``fail=KIND*2`` the first two times that
  the very same request arrives. Which requests fail depends on the seed, the request and how often it came, never on
  the order.
* kinds: any HTTP status 400-599 (429 carries ``Retry-After``), ``timeout`` (no byte is ever sent), ``stall`` (half an
  answer, then nothing), ``disconnect`` (the connection is cut; in a stream after half of it), ``truncated`` (JSON cut
  in the middle; a stream ends inside an event, without finish_reason and ``[DONE]``), ``html`` (200 with a web page),
  ``empty`` (200 without a body), ``stream_error`` (an error event in mid-stream).
* suffix parameters: ``latency_ms``, ``chunk_ms`` (between stream chunks), ``fail`` (repeatable), ``retry_after`` (seconds).
* ``/v1/files`` and ``/v1/batches`` are OpenAI's, in memory. A batch ends once it was looked at ``batch_polls`` times;
  ``batch_fault`` is what goes wrong: ``failed``, ``expired`` (half of it answered), ``missing`` (every second line) or
  ``lines`` (every second one refused with 500). Its lines are no calls, and come in reversed order.
* ``GET /stats`` → ``{calls, in_flight, most_in_flight, faults: {kind: n}, by_model: {id: n}, batches}``; ``DELETE`` sets it back.
"""

from app.devmodel.app import DevModel, create_devmodel
from app.devmodel.options import Options
from app.devmodel.server import running_devmodel, serve

__all__ = ["DevModel", "Options", "create_devmodel", "running_devmodel", "serve"]
