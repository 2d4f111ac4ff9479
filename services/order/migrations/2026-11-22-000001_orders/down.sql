DROP TABLE mails;
DROP TABLE orders;
