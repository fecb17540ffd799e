from node.integrations.tokens import *
