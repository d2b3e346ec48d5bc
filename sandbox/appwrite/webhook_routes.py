"""The webhooks of the project over HTTP."""

from dataclasses import replace

from sandbox.appwrite import webhooks
from sandbox.appwrite.call import Call, Reply
from sandbox.appwrite.views import page


def list_webhooks(call: Call) -> Reply:
    with call.store.read() as db:
        return page(call, "webhooks", webhooks.webhooks(db), webhooks.webhook_view)


def create_webhook(call: Call) -> Reply:
    made = webhooks.new_webhook(call.new_id("webhookId"), call.body, now=call.now)
    with call.write() as db:
        webhooks.add_webhook(db, made)
    return Reply(201, webhooks.webhook_view(made, secret=True))


def update_webhook(call: Call) -> Reply:
    """Everything but the secret must be sent again; one that is enabled again starts without failures."""
    settings = webhooks.read_settings(call.body, now=call.now)
    with call.write() as db:
        webhook = replace(webhooks.find_webhook(db, call.path["webhook"]), **settings)
        webhook = replace(webhook, attempts=0) if webhook.enabled else webhook
        webhooks.save_webhook(db, webhook)
    return Reply(body=webhooks.webhook_view(webhook))
