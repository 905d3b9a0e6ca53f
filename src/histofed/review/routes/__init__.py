"""What the page can be asked, a subject a file; each route is a plain function, so it runs in a
thread and may read files.
"""  # noqa: D205

from histofed.review.routes import cases, exports, gallery, sessions, slides, verdicts

ROUTES = (
    sessions.routes,
    cases.routes,
    slides.routes,
    gallery.routes,
    verdicts.routes,
    exports.routes,
)

__all__ = ["ROUTES"]
