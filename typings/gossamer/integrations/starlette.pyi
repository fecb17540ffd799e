from node.integrations.starlette import *
