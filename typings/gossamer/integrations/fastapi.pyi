from node.integrations.fastapi import *
