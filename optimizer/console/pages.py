"""The addresses of the console."""

from optimizer.console.queue import give_label, label_queue
from optimizer.console.today import today
from optimizer.console.visit import Route

ROUTES = (
    Route("GET", "/", today),
    Route("GET", "/tasks/{}/labels", label_queue),
    Route("POST", "/tasks/{}/labels", give_label, role="approve"),
)
