from node.store.ledger import *
