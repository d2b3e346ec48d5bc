"""The webhooks of the project over HTTP."""

from dataclasses import replace

from sandbox.appwrite import webhooks
from sandbox.appwrite.call import Call, Reply
from sandbox.appwrite.datetimes import canonical
from sandbox.appwrite.views import page


def list_webhooks(call: Call) -> Reply:
    with call.store.read() as db:
        return page(call, "webhooks", webhooks.webhooks(db), webhooks.webhook_view)


def create_webhook(call: Call) -> Reply:
    made = webhooks.new_webhook(call.new_id("webhookId"), call.body, now=call.now)
    with call.write() as db:
        webhooks.add_webhook(db, made)
    return Reply(201, webhooks.webhook_view(made, secret=True))


def get_webhook(call: Call) -> Reply:
    with call.store.read() as db:
        return Reply(body=webhooks.webhook_view(webhooks.find_webhook(db, call.path["webhook"])))


def update_webhook(call: Call) -> Reply:
    """Everything but the secret must be said again; one that is switched on again counts its failures from none."""
    said = webhooks.settings(call.body, now=call.now)
    with call.write() as db:
        webhook = replace(webhooks.find_webhook(db, call.path["webhook"]), **said)
        webhook = replace(webhook, attempts=0) if webhook.enabled else webhook
        webhooks.save_webhook(db, webhook)
    return Reply(body=webhooks.webhook_view(webhook))


def update_secret(call: Call) -> Reply:
    secret = webhooks.new_secret(call.body)
    with call.write() as db:
        found = webhooks.find_webhook(db, call.path["webhook"])
        webhook = replace(found, secret=secret, updated_at=canonical(call.now))
        webhooks.save_webhook(db, webhook)
    return Reply(body=webhooks.webhook_view(webhook, secret=True))


def delete_webhook(call: Call) -> Reply:
    with call.write() as db:
        webhooks.remove_webhooks(db, [webhooks.find_webhook(db, call.path["webhook"]).id])
    return Reply(204)
