from node.integrations.lifespan import *
