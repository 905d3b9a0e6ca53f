"""Real hospitals: NVIDIA FLARE 2.9 carries the messages, behind mutual TLS.

A job carries no code and no options: it names two classes of this package, `rounds.Rounds` at the
server and `site.Site` at each hospital, and the agreement that they serve. Everything else (where
the cohort lies, how to train) is read where the process runs, from a file of that very place
(`places`). The kits allow no other class, no code of a job's own, and no shell command.

Modules: ``kits`` makes certificates and folders; ``places`` says who does the work in a process;
``rounds`` and ``site`` are the two ends of the conversation, ``talk`` its words, ``signing`` the
proof of who speaks, ``answers`` what came back; ``jobs`` and ``processes`` start and watch.

Roth, Cheng, Wen et al. NVIDIA FLARE: federated learning from simulation to real-world. IEEE Data
Engineering Bulletin 46 (2023).
"""
