"""The addresses of the console."""

from optimizer.console.changed import changed_page
from optimizer.console.deciding import decide, switch
from optimizer.console.ledgers import history_page, keys_page, promises_page, upstreams_page
from optimizer.console.mistakes import mistakes_page
from optimizer.console.queue import give_label, label_queue
from optimizer.console.rulesets import edit_rules, rules_page, wish
from optimizer.console.task import task_page
from optimizer.console.today import today
from optimizer.console.traffic import exchange_page, exchanges_page
from optimizer.console.trial import trial_page
from optimizer.console.visit import Route

ROUTES = (
    Route("GET", "/", today),
    Route("GET", "/tasks/{}", task_page),
    Route("POST", "/tasks/{}/decide", decide, role="approve"),
    Route("GET", "/tasks/{}/labels", label_queue),
    Route("POST", "/tasks/{}/labels", give_label, role="approve"),
    Route("GET", "/tasks/{}/mistakes", mistakes_page),
    Route("GET", "/tasks/{}/changed", changed_page),
    Route("GET", "/tasks/{}/rules", rules_page),
    Route("GET", "/tasks/{}/rules/{}", rules_page),
    Route("POST", "/tasks/{}/rules/{}", edit_rules, role="approve"),
    Route("POST", "/tasks/{}/rules/{}/wish", wish, role="approve"),
    Route("GET", "/tasks/{}/trial", trial_page),
    Route("GET", "/exchanges", exchanges_page),
    Route("GET", "/exchanges/{}", exchange_page),
    Route("GET", "/promises", promises_page),
    Route("GET", "/upstreams", upstreams_page),
    Route("GET", "/keys", keys_page),
    Route("GET", "/history", history_page),
    Route("POST", "/switch", switch, role="admin"),
)
