from node.integrations.metrics import *
