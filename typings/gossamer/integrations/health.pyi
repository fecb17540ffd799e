from node.integrations.health import *
