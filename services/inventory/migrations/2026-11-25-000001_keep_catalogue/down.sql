DROP TABLE stock_adjustments;
DROP INDEX products_by_category;
ALTER TABLE products DROP COLUMN version;
