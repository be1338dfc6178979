-- Indexes for searches that find what others own.

-- Objects with a named policy are few; others than the owner find them through this. Names of policies in rules have
-- 255 bytes at most; what a client gives may be longer than an index takes.
CREATE INDEX object_policy ON kmip.object (domain, left(attributes ->> 'OperationPolicyName', 255), uid)
    WHERE attributes ->> 'OperationPolicyName' IS NOT NULL;
COMMENT ON INDEX kmip.object_policy IS 'Locate: objects with a KMIP Operation Policy Name, whoever owns them';

-- The value before the owner: the same names are taken, and a name is found whoever has it.
DROP INDEX kmip.name_taken;
CREATE UNIQUE INDEX name_taken ON kmip.name (domain, value, owner) WHERE live;
COMMENT ON INDEX kmip.name_taken IS 'One live object of an owner for a name; Locate by name';
