from node.integrations.idempotency import *
